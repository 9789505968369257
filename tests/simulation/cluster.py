"""The processes of a world: who owns what, who is started, replaced, forgotten and buried."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from typing import Final

from processors.admission.settings import AdmissionSettings
from processors.rating.stage import RATING
from projections.balances.stage import BALANCES
from schemas.topics import TOPICS
from tests.simulation.clock import Clock
from tests.simulation.log import Broker
from tests.simulation.node import Killed
from tests.simulation.odds import drawn
from tests.simulation.processes import PREFIX, Admission, Folding, Process
from tests.simulation.producer import Producer
from tests.simulation.redis import State
from tests.simulation.traffic import START

KINDS: Final = (RATING, BALANCES)
WINDOW: Final = timedelta(days=3)
NEVER: Final = 10.0**9
STRIKES_NEW: Final = 0.03
"""Of two effects that follow one another for the first time in a world: a kill between them."""
Between = tuple[str, str, str]
"""A stage, an effect of it, and the one that it came to next."""


class Cluster:
    """One admission worker or two, a worker for each partition of each stage, and zombies.

    Processes run one at a time. At each effect (a read, an append, an acknowledgement, a commit, an
    offset commit) others may run in between, and the process itself may be killed; with `strike`,
    it surely is the first time that a stage comes from the one effect to the other.
    """

    def __init__(self, seed: int, strike: Between | None = None) -> None:
        self.strike = strike
        self.chance = Random(seed)
        self.odds = drawn(self.chance)
        self.chaos = True
        self.trace: list[tuple[object, ...]] = []
        self.passed: Counter[Between] = Counter()
        self.struck: Counter[Between] = Counter()
        self.partitions = 1 if self.chance.random() < 0.7 else 2
        self.broker = Broker(Clock(START), self.odds.slow)
        for topic in TOPICS:
            self.broker.create(topic.name, topic.partitions or self.partitions)
        self.state = State()
        self.members: list[Admission] = []
        self.folding: dict[tuple[str, int], Folding] = {}
        self.zombies: list[Process] = []
        self._wires: list[Producer] = []
        self._running: list[Process] = []
        self._starting: Process | None = None
        self._started = 0

    def note(self, *what: object) -> None:
        """One line of the trace."""
        self.trace.append((self.broker.clock.now - START, *what))

    def effect(self, process: Process, name: str) -> None:
        """Kill the process here, or let another run in between."""
        if not self.chaos:
            return
        self.note(process.name, name)
        between = (process.stage, process.latest, name)
        process.latest = name
        self.passed[between] += 1
        process.doom -= 1
        new = self.passed[between] == 1 and self.chance.random() < STRIKES_NEW
        if between == self.strike or new or process.doom <= 0:
            self.strike = None if between == self.strike else self.strike
            self.struck[between] += 1
            raise Killed
        if len(self._running) < 3 and self.chance.random() < 0.06:
            others = [other for other in self._processes() if other not in self._running]
            if others:
                self._step(self.chance.choice(others))

    def _processes(self) -> list[Process]:
        found = [*self.members, *self.folding.values(), *self.zombies]
        return [process for process in found if process.alive]

    def _step(self, process: Process) -> None:
        if not process.alive:  # it died while another was started
            return
        self._running.append(process)
        process.guarded(process.step)
        self._running.pop()

    def _forget(self, member: Admission) -> None:
        """A member is killed, or lives on without its group."""
        self.members.remove(member)
        if member.alive and self.chance.random() < 0.6:
            self.note("zombie", member.name)
            self.zombies.append(member)
        else:
            self._bury(member)

    def _replace(self, process: Folding) -> None:
        """Its partition is opened by another; the old one leaves well, is killed, or goes on."""
        del self.folding[process.kind.name, process.number]
        choice = self.chance.random()
        if process.alive and choice < 0.7:
            self.note("zombie", process.name)
            self.zombies.append(process)
            return
        if process.alive and choice < 0.8:
            process.guarded(process.drain)
        self._bury(process)

    def _bury(self, process: Process) -> None:
        if process.alive:
            self.note("killed", process.name)
            process.die()
        if hasattr(process, "producer"):
            self._wires.append(process.producer)

    def _supervise(self) -> None:
        """What died is started again, as the supervisor does."""
        for member in [member for member in self.members if not member.alive]:
            self.members.remove(member)
            self._bury(member)
        if not self.members or set(range(self.partitions)) != set().union(
            *(member.partitions for member in self.members)
        ):
            self._rebalance()
        for kind in KINDS:
            for number in range(self.partitions):
                process = self.folding.get((kind.name, number))
                while process is None or not process.alive:
                    if process is not None:
                        self._bury(process)
                    process = Folding(self, self._name(kind.name), kind=kind, number=number)
                    self.folding[kind.name, number] = process
                    self._start(process)

    def _rebalance(self) -> None:
        """Members come and go; each partition is dealt to one of them."""
        while not self.members or (
            self.chaos and len(self.members) < 2 and self.chance.random() < 0.2
        ):
            member = Admission(self, self._name("admission"), settings=self._settings())
            self._start(member)
            if member.alive:
                self.members.append(member)
            else:
                self._bury(member)
        dealt: dict[Admission, set[int]] = {member: set() for member in self.members}
        for number in range(self.partitions):
            dealt[self.chance.choice(self.members)].add(number)
        for member, numbers in dealt.items():
            if member.partitions:
                lost = self.chance.random() < 0.3
                member.tell("on_lost" if lost else "on_revoke", member.partitions)
            member.tell("on_assign", numbers)
            member.partitions = numbers

    def _settings(self) -> AdmissionSettings:
        often, seldom = (30.0, 300.0) if self.chaos else (NEVER, NEVER)
        return AdmissionSettings(
            "memory",
            "memory",
            key_prefix=PREFIX,
            dedupe_window=WINDOW,
            tick_busy_seconds=often,
            tick_idle_seconds=seldom,
            batch=self.chance.randint(1, self.odds.batch),
        )

    def _name(self, stage: str) -> str:
        self._started += 1
        return f"{stage}-{self._started}"

    def _start(self, process: Process) -> None:
        self.note("starts", process.name)
        with self._as_starting(process):
            process.guarded(process.start)

    @contextmanager
    def _as_starting(self, process: Process) -> Iterator[None]:
        before, self._starting = self._starting, process
        self._running.append(process)
        yield
        self._running.pop()
        self._starting = before

    def _who_starts(self) -> Process:
        assert self._starting is not None
        return self._starting
