"""Strikes the faults of a plan, step by step: nothing is waited for but a server's start."""

import signal
from dataclasses import dataclass, field
from typing import Final

from deploy.servers.apache import ApacheKafka
from deploy.servers.embedded import Tansu
from deploy.servers.find import Servers
from deploy.servers.redis import RedisServer
from tests.soak.plan import Blow, Fault
from tests.system.pipeline import Pipeline

_HEIR: Final = "heir"


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that happened: seconds after the start."""

    name: str
    at: float
    until: float


@dataclass
class Injector:
    """Call `step` several times a second with the seconds since the start."""

    plan: list[Fault]
    pipeline: Pipeline
    servers: Servers
    struck: list[Struck] = field(default_factory=list)
    _active: Fault | None = None
    _since: float = 0.0

    def step(self, second: float) -> None:
        """Strike what is due, or end what was struck."""
        if self._active is not None:
            if second >= self._since + self._active.holds:
                self._release(second)
        elif self.plan and second >= self.plan[0].at:
            self._active, self._since = self.plan.pop(0), second
            self._strike(self._active.blow)

    def finish(self, second: float) -> None:
        """End what is going on, and strike nothing more."""
        self.plan.clear()
        if self._active is not None:
            self._release(second)

    def _strike(self, blow: Blow) -> None:
        match blow.way:
            case "kill":
                self.pipeline.kill(blow.target)
            case "pause":  # another worker takes its place, and meets it when it wakes up
                self.pipeline.signal(blow.target, signal.SIGSTOP)
                self.pipeline.join(blow.target, _HEIR)
            case "restart":
                self._server(blow).kill()

    def _release(self, second: float) -> None:
        assert self._active is not None
        blow = self._active.blow
        match blow.way:
            case "kill":
                pass
            case "pause":
                self.pipeline.signal(blow.target, signal.SIGCONT)
                self.pipeline.leave(f"{blow.target}-{_HEIR}")
            case "restart":
                self._server(blow).start()
        self.struck.append(Struck(blow.name, self._since, second))
        self._active = None

    def _server(self, blow: Blow) -> ApacheKafka | Tansu | RedisServer:
        server = self.servers.broker if blow.target == "broker" else self.servers.store
        assert server is not None, blow
        return server
