"""One contender at work on one broker: prepared, loaded, started, and asked how far it is."""

import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.provision import create_topics
from deploy.supervisor import Supervisor
from projections.fold.log import Log
from schemas.topics import USAGE
from tests.bench.audit import Expected, Verdict, audit
from tests.bench.contender import Command, Contender, Work, slug
from tests.bench.servers import Broker, delete_topics, send_usage
from tests.bench.session import Session

POLL_SECONDS: Final = 0.1
_ALERT_SECONDS: Final = 10.0
_TAIL: Final = 2_000
Ends = dict[int, int]


@dataclass
class Trial:
    """A contender that has been prepared, and its processes."""

    contender: Contender
    work: Work
    broker: Broker
    commands: list[Command]
    supervisor: Supervisor

    def start(self) -> None:
        """Start what does not run."""
        down = [child for child in self.supervisor.children if child.process is None]
        Supervisor(down).start()

    def stop_intake(self) -> None:
        """End, in an orderly way, the processes that read usage."""
        intake = {command.name for command in self.commands if command.intake}
        Supervisor([c for c in self.supervisor.children if c.name in intake]).stop()

    def load(self, path: Path, first: int = 0, last: int | None = None) -> Ends:
        """Send these lines of a file of usage; gives where the topic then ends."""
        send_usage(self.work.kafka, self.work.prefix, path, first, last)
        return self.ends()

    def ends(self) -> Ends:
        """Where the topic of usage ends."""
        log = Log(self.work.kafka, self.work.prefix)
        return log.ends(USAGE.name, range(self.work.partitions))

    def outlive(self, process: "subprocess.Popen[bytes]") -> None:
        """Restart what ends until `process`, which is not one of them, has ended."""
        while process.poll() is None:
            self.supervisor.poll()
            time.sleep(POLL_SECONDS)

    def done(self, ends: Mapping[int, int]) -> bool:
        """Whether all below `ends` is applied; restarts what has ended."""
        self.supervisor.poll()
        return self.contender.done(self.work, ends)

    def wait(self, ends: Mapping[int, int], seconds: float) -> None:
        """Wait until all below `ends` is applied. Raises TimeoutError with what was logged."""
        give_up = time.monotonic() + seconds
        while not self.done(ends):
            if time.monotonic() > give_up:
                message = f"{self.contender.name} is not done after {seconds:.0f} s:\n{self.said()}"
                raise TimeoutError(message)
            time.sleep(POLL_SECONDS)

    def applied(self, base: Mapping[int, int], ends: Mapping[int, int]) -> int:
        """How many records from `base` on, and below `ends`, are applied: found by bisection."""
        return sum(self._applied(number, base[number], end) for number, end in ends.items())

    def has_begun(self, base: Mapping[int, int], ends: Mapping[int, int]) -> bool:
        """Whether anything from `base` on is applied, in any partition."""
        self.supervisor.poll()
        return any(
            ends[number] > at and self.contender.done(self.work, {number: at + 1})
            for number, at in base.items()
        )

    def verdict(self, expected: Expected) -> Verdict:
        """What the auditor says when all is applied; alerts have some seconds to arrive."""
        give_up = time.monotonic() + _ALERT_SECONDS
        while True:
            found = self.contender.balances(self.work), self.contender.alerts(self.work)
            verdict = audit(expected, *found)
            if verdict.exact or time.monotonic() > give_up:
                return verdict
            time.sleep(1)

    def pids(self) -> dict[str, int]:
        """Every process that has a part in it, by what it is."""
        own = {c.name: c.process.pid for c in self.supervisor.children if c.process is not None}
        return {**own, **self.contender.servers(), "broker": self.broker.process.pid or 0}

    def said(self) -> str:
        """The end of what each process logged."""
        logs = [child.log for child in self.supervisor.children if child.log is not None]
        return "\n".join(
            f"{log.name}: {log.read_text(errors='replace')[-_TAIL:]}"
            for log in logs
            if log.exists()
        )

    def _applied(self, number: int, base: int, end: int) -> int:
        low, high = base, end
        while low < high:
            middle = (low + high + 1) // 2
            if self.contender.done(self.work, {number: middle}):
                low = middle
            else:
                high = middle - 1
        return low - base


@contextmanager
def on_trial(
    contender: Contender,
    broker: Broker,
    folder: Path,
    *,
    accounts: int,
    partitions: int,
    workers: int = 1,
) -> Iterator[Trial]:
    """Topics, and what the contender prepares; its processes are not started. Ends all of it."""
    own = folder / f"{slug(contender.name)}-{secrets.token_hex(4)}"
    own.mkdir(parents=True)
    work = Work(broker.address, f"{own.name}.", own, partitions, workers, accounts)
    try:
        create_topics(work.kafka, work.prefix, partitions, 1)
        contender.prepare(work)
        commands = contender.commands(work)
        supervisor = Supervisor([command.child(own) for command in commands])
        try:
            yield Trial(contender, work, broker, commands, supervisor)
        finally:
            supervisor.stop()
    finally:
        contender.close()
        delete_topics(work.kafka, work.prefix)


@contextmanager
def apart(session: Session, contender: Contender) -> Iterator[Trial]:
    """`on_trial` with the session's sizes, on a broker of its own."""
    sizes = {"accounts": session.accounts, "partitions": session.partitions}
    with (
        session.open_broker() as broker,
        on_trial(contender, broker, session.folder, **sizes) as trial,
    ):
        yield trial
