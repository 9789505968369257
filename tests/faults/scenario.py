"""What a fault scenario is: its entry in the registry, what it is given and what it gives back.

A scenario sends traffic, lets its fault strike, waits until all has settled and gives what differs:
nothing, by `drawdown reconcile` (I1-I7), by the sums of the traffic and by the set of alerts. See
`flow.Flow` for traffic in a thread of its own, `proof.prove` for the differences, `waiting.until`
for seconds of recovery.

    @scenario("redis killed", "kill -9 of Redis, AOF every second, and started again")
    def redis_killed(run: Run) -> Outcome:
        with run.own_servers() as servers, run.pipeline(servers) as pipeline:
            ...
            return Outcome(struck=20, events=flow.sent, recoveries=seconds, differences=prove(...))
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

from deploy.servers.find import Kind, Servers, open_servers
from tests.system.pipeline import Pipeline, running

T = TypeVar("T")
SESSION_SECONDS: Final = {"embedded": 3, "apache": 6}
"""How soon a group takes a silent worker for dead: Apache Kafka accepts no less than 6."""


class LeftOut(Exception):
    """This machine cannot do it; the message says why. In CI that is a failure."""


@dataclass(frozen=True)
class Outcome:
    """How often the fault struck, records sent, seconds of each recovery, and what differs.

    A recovery is the time from a fault until whatever it struck makes progress again.
    """

    struck: int
    events: int
    recoveries: Sequence[float] = ()
    differences: Sequence[str] = ()
    note: str = ""


@dataclass
class Run:
    """What a scenario works with. `folder` is its own; `progress` shows a line while it runs."""

    servers: Servers
    folder: Path
    seed: int
    quick: bool
    progress: Callable[[str], None]

    @property
    def kind(self) -> Kind:
        """The kind of servers, also where they were only addressed."""
        return "embedded" if self.servers.kind == "embedded" else "apache"

    @property
    def session_seconds(self) -> int:
        """The session timeout of this run's workers."""
        return SESSION_SECONDS[self.kind]

    def pick(self, full: T, quick: T) -> T:
        """A size, by whether this is the quick set."""
        return quick if self.quick else full

    def random(self, name: str) -> random.Random:
        """Moments and choices: the same for the same seed."""
        return random.Random(f"{self.seed} {name}")

    @contextmanager
    def own_servers(self) -> Iterator[Servers]:
        """Servers of this scenario alone, to be disturbed; Apache's and Redis's keep their data."""
        with open_servers(self.kind, self.folder / "servers") as servers:
            yield servers

    @contextmanager
    def pipeline(
        self,
        servers: Servers | None = None,
        apart: Mapping[str, Mapping[str, str]] | None = None,
        **settings: str,
    ) -> Iterator[Pipeline]:
        """Workers on `servers` (None: those that scenarios share), under names of their own.

        `apart` are settings of one worker alone, by its name.
        """
        prefix = f"f{random.SystemRandom().getrandbits(32):08x}."
        given = {"session_timeout_seconds": str(self.session_seconds), **settings}
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with running(servers or self.servers, prefix, logs, apart, **given) as pipeline:
            yield pipeline


Strike = Callable[[Run], Outcome]


@dataclass(frozen=True)
class Scenario:
    """`what` is one sentence; `needs` says that it runs on that kind of servers only."""

    name: str
    what: str
    strike: Strike
    quick: bool
    needs: Literal["apache"] | None


SCENARIOS: Final[dict[str, Scenario]] = {}
"""By name, in the order of the table."""


def scenario(
    name: str, what: str, *, quick: bool = True, needs: Literal["apache"] | None = None
) -> Callable[[Strike], Strike]:
    """Register a scenario. `quick`: it is in the set that CI runs."""

    def register(strike: Strike) -> Strike:
        assert name not in SCENARIOS, name
        SCENARIOS[name] = Scenario(name, what, strike, quick, needs)
        return strike

    return register


def chosen(names: Sequence[str], kind: str, *, quick: bool) -> list[Scenario]:
    """Those to run: by name, or all; without what `kind` cannot do. Raises ValueError."""
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise ValueError(f"no such scenario: {', '.join(unknown)}; see --list")
    found = [SCENARIOS[name] for name in names] or [
        each for each in SCENARIOS.values() if each.quick or not quick
    ]
    return [each for each in found if each.needs in {None, kind}]
