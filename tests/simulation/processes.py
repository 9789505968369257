"""The processes of a world: admission's real worker, and the folds as their host drives them."""

# ruff: noqa: D102 - as its base says

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Protocol, cast

import redis

from processors.admission.settings import AdmissionSettings
from processors.admission.worker import AdmissionWorker
from projections.fold.kind import StageKind
from projections.fold.log import Log
from projections.fold.outbox import Outbox
from projections.fold.position import Position
from projections.fold.retry import Patience
from projections.fold.stage import StagePartition
from projections.fold.store import PartitionStore
from schemas.errors import DrawdownError
from schemas.topics import CATALOG, CREDITS, USAGE
from tests.simulation.log import Broker
from tests.simulation.node import Killed
from tests.simulation.odds import Odds
from tests.simulation.producer import Producer
from tests.simulation.redis import Redis, State

PREFIX: Final = "sim"
_SOURCES: Final = (CATALOG, CREDITS, USAGE)
LONGEST_LIFE: Final = 80
"""Effects that a process lives to see on average."""


class Surroundings(Protocol):
    """The world, as its processes see it."""

    chance: Random
    odds: Odds
    chaos: bool
    broker: Broker
    state: State

    def effect(self, process: "Process", name: str) -> None:
        """An effect of `process` is about to happen."""

    def note(self, *what: object) -> None:
        """Something for the trace."""


@dataclass(eq=False)
class Process:
    """One process: `step` does one thing; it is dead after an error or a kill."""

    world: Surroundings
    name: str
    producer: Producer = field(init=False)
    alive: bool = True
    latest: str = "start"
    """The effect that it was last at."""

    def __post_init__(self) -> None:
        self.chance = self.world.chance
        self.doom = int(self.chance.expovariate(1 / LONGEST_LIFE)) + 1

    def effect(self, name: str) -> None:
        """See `node.Node`."""
        self.world.effect(self, name)

    def luck(self, probability: float) -> bool:
        """See `node.Node`."""
        return self.world.chaos and self.chance.random() < probability

    def guarded(self, call: Callable[[], object]) -> None:
        """Do it, and die of what ends a process."""
        try:
            call()
        except (Killed, DrawdownError) as error:
            self.world.note("dies", self.name, type(error).__name__, error)
            self.die()

    def die(self) -> None:
        """The process is gone; of what it sent, some first records may still land."""
        self.alive = False
        if hasattr(self, "producer"):
            self.producer.orphan()

    @property
    def stage(self) -> str:
        """What it does, whoever it is."""
        raise NotImplementedError

    def start(self) -> None:
        """Open what it needs."""
        raise NotImplementedError

    def step(self) -> None:
        """One thing that it does."""
        raise NotImplementedError


@dataclass(eq=False)
class Admission(Process):
    """`AdmissionWorker` itself, a step at a time."""

    settings: AdmissionSettings = field(kw_only=True)
    partitions: set[int] = field(default_factory=set)
    stage = "admission"

    def start(self) -> None:
        self.worker = AdmissionWorker(self.settings)
        self.worker._open()

    def step(self) -> None:
        self.worker._step()

    def tell(self, event: str, numbers: set[int]) -> None:
        """What its group says at the next poll."""
        places = [(USAGE.name, number) for number in sorted(numbers)]
        self.worker._group.consumer.told.append((event, places))  # type: ignore[attr-defined]

    @property
    def done(self) -> bool:
        """Whether the journal is known to hold all that was sent."""
        owned = self.worker._group.owned
        ends = self.world.broker.topics
        return set(owned) == self.partitions and all(
            list(each.acknowledged)
            == [len(ends[place.name][0 if place.partitions else number]) for place in _SOURCES]
            for number, each in owned.items()
        )


@dataclass(eq=False)
class Folding(Process):
    """One partition of a stage, as `FaustHost` drives it."""

    kind: StageKind = field(kw_only=True)
    number: int = field(kw_only=True)

    @property
    def stage(self) -> str:
        return self.kind.name

    def start(self) -> None:
        world = self.world
        store = PartitionStore(
            cast("redis.Redis", Redis(world.state, self)),
            PREFIX,
            self.number,
            self.kind.name,
            Patience(2.0),
        )
        log = Log("memory")
        found = log.check(self.kind.reads.name, self.number, store.open() or Position())
        self.producer = Producer(world.broker, self, world.odds.landing)
        fold = self.kind.make_fold(self.number, found, store)
        self.partition = StagePartition(fold, store, _Outbox(self.producer), found)
        self.cursor = found.offset

    def step(self) -> None:
        """Records come, outputs land, are confirmed, or are settled."""
        match self.chance.randint(0, 4 if self.world.chaos else 0):
            case 0 | 1:
                self._fold()
            case 2:
                self.producer.land(self.chance.randint(1, 3))
            case 3:
                self.producer.poll()
            case _:
                self.producer.poll()
                self._committed(self.partition.settle())

    def drain(self) -> None:
        """As on a clean stop or a rebalance: what is pending is waited for."""
        self._committed(self.partition.settle(wait_for=0))

    def _committed(self, tokens: list[object]) -> None:
        """Kafka's own offset comes last, and nothing is ever read from it."""
        if tokens:
            self.effect("commit offsets")

    def _fold(self) -> None:
        """Deliveries may repeat what came before, or come from before a rebalance."""
        self.effect("consume")
        log = self.world.broker.partition((self.kind.reads.name, self.number))
        start = self.cursor
        if self.luck(0.1):
            start = max(0, start - self.chance.randint(1, 3))
        elif self.luck(0.05):
            start += self.chance.randint(1, 2)
        most = self.chance.choice((1, 2, 4, 12)) if self.world.chaos else len(log)
        records = [(at, log[at].value or b"") for at in range(start, min(len(log), start + most))]
        if records:
            self._committed(self.partition.process(records, None))
            self.cursor = self.partition.folded.offset

    @property
    def done(self) -> bool:
        """Whether all that there is to read is folded and committed."""
        log = self.world.broker.partition((self.kind.reads.name, self.number))
        at_end: bool = self.partition.folded.offset == len(log)
        return at_end and not self.partition.pending


class _Outbox(Outbox):
    """The stages' outbox without its polling thread: whoever waits polls."""

    def __init__(self, producer: Producer) -> None:
        self.kafka = "memory"
        self.topic_prefix = ""
        self.waiting = lambda _cause: None
        self._producer: Any = producer
        self._changed: Any = _Changed(producer)


class _Changed:
    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def __enter__(self) -> None:
        """Nobody else is there."""

    def __exit__(self, *_error: object) -> None:
        """Nobody else is there."""

    def notify_all(self) -> None:
        """Nobody waits."""

    def wait(self, timeout: float) -> None:
        self._producer.poll(timeout)
