"""One seed's world: raw records come, processes work, die and go on as zombies, Redis goes back.

Every choice comes from one seeded generator, so a seed replays exactly. Processes run one at a
time, but at each effect (a read, an append, an acknowledgement, a commit, an offset commit) others
may run in between, and the process itself may be killed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from types import ModuleType
from typing import Any, Final

from processors.admission.settings import AdmissionSettings
from processors.rating.stage import RATING
from projections.balances.stage import BALANCES
from projections.fold import stage as fold_stage
from schemas.topics import TOPICS, USAGE
from tests.simulation.auditor import audit
from tests.simulation.clock import Clock
from tests.simulation.kafka import Producer
from tests.simulation.log import Broker
from tests.simulation.node import Killed
from tests.simulation.ports import installed
from tests.simulation.processes import PREFIX, Admission, Folding, Process
from tests.simulation.redis import State
from tests.simulation.replay import replayed, tickless
from tests.simulation.traffic import START, Traffic

KINDS: Final = (RATING, BALANCES)
WINDOW: Final = timedelta(days=3)
TICKLESS: Final = 4
"""Of so many seeds one is folded without its ticks, too (I7)."""
MOST_STEPS: Final = 3_000
NEVER: Final = 10.0**9


class World:
    """A deployment of one or two partitions, its traffic and its faults."""

    def __init__(self, seed: int, *, without: frozenset[str] = frozenset()) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.chaos = True
        self.without = without
        self.trace: list[tuple[object, ...]] = []
        self.partitions = 1 if self.chance.random() < 0.7 else 2
        self.broker = Broker(Clock(START))
        for topic in TOPICS:
            self.broker.create(topic.name, topic.partitions or self.partitions)
        self.state = State(without=without)
        self.stage: ModuleType = fold_stage
        self.traffic = Traffic(self.chance, self.broker, self.partitions)
        self.members: list[Admission] = []
        self.folding: dict[tuple[str, int], Folding] = {}
        self.zombies: list[Process] = []
        self._wires: list[Producer] = []
        self._running: list[Process] = []
        self._starting: Process | None = None
        self._snapshots: list[tuple[str, dict[str, Any]]] = []
        self._started = 0

    def run(self) -> None:
        """The whole history, and then calm until everything has been read to its end."""
        keep = self.chance.choice((1, 4, 200_000))
        with installed(self.broker, self.state, self._who_starts, keep):
            while self.traffic.left:
                self._act()
            for _ in range(self.chance.randint(0, 30)):
                self._act()
            self._settle()

    def note(self, *what: object) -> None:
        """One line of the trace."""
        self.trace.append((self.broker.clock.now - START, *what))

    def effect(self, process: Process, name: str) -> None:
        """Kill the process here, or let another run in between."""
        if not self.chaos:
            return
        self.note(process.name, name)
        process.doom -= 1
        if process.doom <= 0:
            raise Killed
        if len(self._running) < 3 and self.chance.random() < 0.06:
            others = [other for other in self._processes() if other not in self._running]
            if others:
                self._step(self.chance.choice(others))

    def _processes(self) -> list[Process]:
        found = [*self.members, *self.folding.values(), *self.zombies]
        return [process for process in found if process.alive]

    def _step(self, process: Process) -> None:
        self._running.append(process)
        process.guarded(process.step)
        self._running.pop()

    def _act(self) -> None:
        """One thing that happens somewhere."""
        self._supervise()
        if self.chance.random() < 0.1:
            prefix = self._some_state()
            self._snapshots = [*self._snapshots[-8:], (prefix, self.state.copy(prefix))]
        number = self.chance.random()
        if number < 0.22:
            for _ in range(self.chance.randint(1, 5)):
                self.traffic.send(self.note)
        elif number < 0.29:
            self._fault()
        elif number < 0.31 and self._wires:
            self.chance.choice(self._wires).land(2)
        elif number < 0.38 and self.zombies:
            self._haunt(self.chance.choice(self.zombies))
        elif number < 0.65:
            self._step(self.chance.choice(self.members))
        else:
            self._step(self.chance.choice(list(self.folding.values())))

    def _haunt(self, zombie: Process) -> None:
        for _ in range(self.chance.randint(1, 5)):
            if zombie.alive:
                self._step(zombie)
        if not zombie.alive or self.chance.random() < 0.07:
            self._bury(zombie)
            self.zombies.remove(zombie)

    def _fault(self) -> None:
        match self.chance.randint(0, 8):
            case 0 | 1:
                self._forget(self.chance.choice(self.members))
                self._rebalance()
            case 2 | 3:
                folding = list(self.folding.values())
                busy = [each for each in folding if each.alive and each.partition.pending]
                self._replace(self.chance.choice(busy or folding))
            case 4:
                self._rebalance()
            case 5 | 6:
                self._roll_back()
            case 7:
                self._twin()
            case _:
                self._expire()

    def _twin(self) -> None:
        """A second worker opens a partition, and sleeps: all it will read is newer than that."""
        kind, number = self.chance.choice(KINDS), self.chance.randrange(self.partitions)
        twin = Folding(self, self._name(f"{kind.name}-twin"), kind=kind, number=number)
        self._start(twin)
        self.zombies.append(twin)

    def _expire(self) -> None:
        sending = [each for each in self._processes() if any(each.producer.queues.values())]
        if sending:
            process = self.chance.choice(sending)
            self.note("a record expires", process.name)
            process.producer.expire()

    def _some_state(self) -> str:
        part = self.chance.choice(("claims", "rating", "balances"))
        return f"{PREFIX}:{{{self.chance.randrange(self.partitions)}}}:{part}"

    def _roll_back(self) -> None:
        """Redis comes back older: claims or a stage's state, or one of them is lost entirely."""
        if self._snapshots and self.chance.random() < 0.7:
            prefix, older = self.chance.choice(self._snapshots)
        else:
            prefix, older = self._some_state(), {}
        self.note("redis goes back", prefix, "flushed" if not older else "")
        self.state.restore(prefix, older)
        if self.chance.random() < 0.1:
            self.state.restore(PREFIX, {})

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
            batch=self.chance.randint(5, 40),
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

    def _settle(self) -> None:
        """No more faults: whatever is on the wire lands, new workers read everything."""
        self.chaos = False
        for process in [*self.zombies, *self.members, *self.folding.values()]:
            self._bury(process)
        self.zombies.clear()
        self.members.clear()
        self.folding.clear()
        for producer in self._wires:
            producer.land(1_000)
        self._supervise()
        (member,) = self.members
        for _ in range(MOST_STEPS):
            self._step(member)
            assert member.alive, self.trace[-1]
            if member.done:
                break
        else:
            raise AssertionError("admission does not come to an end")
        for kind in KINDS:
            for number in range(self.partitions):
                process = self.folding[kind.name, number]
                while not process.done:
                    self._step(process)
                    process.guarded(process.drain)
                    assert process.alive, self.trace[-1]

    @property
    def raw(self) -> int:
        """How many usage records there are."""
        return sum(map(len, self.broker.topics[USAGE.name]))

    def faults(self) -> Iterator[str]:
        """What is wrong after `run`: by the audit, and by folding the journal again from zero."""
        yield from audit(self.broker, self.partitions)
        for number in range(self.partitions):
            yield from replayed(self.broker, self.state, number)
            if self.seed % TICKLESS == 0:
                yield from tickless(self.broker, number)
