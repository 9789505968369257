"""Kafka's clients over the log in memory, as far as the pipeline uses them.

They obey the contract suite that real ones obey (`test_contracts`). Faults come from their node:
fetches that stop early, acknowledgements that are late, records that expire in the queue.
"""

# ruff: noqa: D102 - as Kafka's clients call it

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from schemas.partition import partition_of
from tests.simulation.log import Broker, Headers, Place, Stored
from tests.simulation.node import Node

_EARLIEST = OffsetSpec.earliest()._value  # type: ignore[no-untyped-call]
_END = KafkaError(KafkaError._PARTITION_EOF)
_AWAY = KafkaError(KafkaError._TRANSPORT)
_EXPIRED = KafkaError(KafkaError._MSG_TIMED_OUT)
Confirm = Callable[[KafkaError | None, Any], None]


@dataclass(slots=True)
class Message:
    """What `consume` gives: a record, or that a partition ended at `at`."""

    place: Place
    at: int
    stored: Stored | None

    def error(self) -> KafkaError | None:
        return _END if self.stored is None else None

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_LOG_APPEND_TIME, self._record.stamp

    def key(self) -> bytes | None:
        return self._record.key

    def value(self) -> bytes | None:
        return self._record.value

    def headers(self) -> Headers | None:
        return self._record.headers

    @property
    def _record(self) -> Stored:
        assert self.stored is not None
        return self.stored


class Consumer:
    """A consumer; `told` holds what its group will say at the next `consume`."""

    def __init__(self, broker: Broker, node: Node, config: Mapping[str, object]) -> None:
        assert config["auto.offset.reset"] == "error", "positions are ours"
        self._broker, self._node = broker, node
        self._tells_ends = bool(config.get("enable.partition.eof"))
        self._next: dict[Place, int] = {}
        self._ended: dict[Place, int] = {}
        self._paused: set[Place] = set()
        self._on: dict[str, Callable[..., None]] = {}
        self.told: deque[tuple[str, list[Place]]] = deque()

    def subscribe(self, _topics: list[str], **on: Callable[..., None]) -> None:
        self._on = on

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self._next.clear()
        self._ended.clear()
        self._paused.clear()
        self.incremental_assign(places)

    def incremental_assign(self, places: Iterable[TopicPartition]) -> None:
        self._next |= {(place.topic, place.partition): place.offset for place in places}

    def incremental_unassign(self, places: Iterable[TopicPartition]) -> None:
        for place in places:
            self._next.pop((place.topic, place.partition), None)
            self._ended.pop((place.topic, place.partition), None)

    def pause(self, places: Iterable[TopicPartition]) -> None:
        self._paused |= {(place.topic, place.partition) for place in places}

    def resume(self, places: Iterable[TopicPartition]) -> None:
        self._paused -= {(place.topic, place.partition) for place in places}

    def commit(self, offsets: object, *, asynchronous: bool) -> None:
        assert offsets
        assert asynchronous
        self._node.effect("commit offsets")

    def consume(self, count: int, timeout: float) -> list[Message]:
        """Up to `count` messages, one partition after another; the end of each is told once."""
        self._node.effect("consume")
        while self.told:
            event, places = self.told.popleft()
            self._on[event](self, [TopicPartition(*place) for place in places])
        found: list[Message] = []
        places = [place for place in self._next if place not in self._paused]
        if self._node.luck(0.3):
            self._node.chance.shuffle(places)
        for place in places:
            found += self._fetch(place, count - len(found))
        if not found:
            self._broker.clock.sleep(timeout)
        return found

    def _fetch(self, place: Place, most: int) -> list[Message]:
        if self._node.luck(0.1):
            return []
        start = self._next[place]
        records = self._broker.partition(place)
        assert start <= len(records), f"{place} is read at {start}, it ends at {len(records)}"
        if self._node.luck(0.2):
            most = min(most, self._node.chance.randint(1, 5))
        stop = min(len(records), start + most)
        found = [Message(place, at, records[at]) for at in range(start, stop)]
        self._next[place] = stop
        at_end = self._tells_ends and stop == len(records)
        if at_end and self._ended.get(place) != stop and len(found) < most:
            self._ended[place] = stop
            found.append(Message(place, stop, None))
        return found

    def get_watermark_offsets(
        self, place: TopicPartition, _timeout: float = 0, *, cached: bool = False
    ) -> tuple[int, int]:
        assert cached in {True, False}
        return 0, len(self._broker.partition((place.topic, place.partition)))

    def close(self) -> None:
        self._next.clear()


@dataclass(slots=True)
class _Sent:
    place: Place
    stored: tuple[bytes | None, bytes | None, Headers | None]
    confirm: Confirm


@dataclass
class Producer:
    """An idempotent producer: each partition's records land in the order in which they were sent.

    What lands when is the world's choice (`land`); a report is given by `poll`, later.
    """

    broker: Broker
    node: Node
    queues: dict[Place, deque[_Sent]] = field(default_factory=dict)
    reports: deque[tuple[Confirm, KafkaError | None]] = field(default_factory=deque)

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int = -1,
        on_delivery: Confirm | None = None,
    ) -> None:
        self.node.effect(f"produce {topic}")
        if partition < 0:
            partition = partition_of((key or b"").decode(), len(self.broker.topics[topic]))
        place = (topic, partition)
        sent = _Sent(place, (key, value, headers), on_delivery or (lambda _error, _message: None))
        self.queues.setdefault(place, deque()).append(sent)
        self.node.effect(f"produced {topic}")

    def land(self, most: int) -> int:
        """Up to `most` records reach the log, of partitions by chance; how many did."""
        landed = 0
        while landed < most and (waiting := [queue for queue in self.queues.values() if queue]):
            sent = self.node.chance.choice(waiting).popleft()
            self.broker.append(sent.place, *sent.stored)
            self.reports.append((sent.confirm, None))
            landed += 1
        return landed

    def expire(self) -> None:
        """One record is given up, though what was sent behind it may still land."""
        waiting = [queue for queue in self.queues.values() if queue]
        if waiting:
            queue = self.node.chance.choice(waiting)
            place = self.node.chance.randrange(len(queue))
            self.reports.append((queue[place].confirm, _EXPIRED))
            del queue[place]
            self.land(self.node.chance.randint(0, 3))

    def poll(self, seconds: float = 0) -> int:
        """Reports of what has landed; while the world is calm everything lands here."""
        self.land(self.node.chance.randint(0, 4) if self.node.luck(0.8) else 1_000)
        served = 0
        while self.reports and not self.node.luck(0.2):
            confirm, error = self.reports.popleft()
            confirm(error, None)
            served += 1
        if not served:
            self.broker.clock.sleep(seconds)
        return served

    def flush(self, _seconds: float) -> int:
        """Everything lands and is told, unless time is up before."""
        if self.node.luck(0.3):
            return sum(map(len, self.queues.values()))
        self.land(1_000)
        while self.reports:
            confirm, error = self.reports.popleft()
            confirm(error, None)
        return 0

    def purge(self, **_which: bool) -> None:
        for queue in self.queues.values():
            queue.clear()

    def orphan(self) -> None:
        """The process is dead: some first records are on the wire and may still land."""
        for queue in self.queues.values():
            on_wire = self.node.chance.randint(0, 3)
            while len(queue) > on_wire:
                queue.pop()


class _Answer:
    def __init__(self, found: Callable[[], Any]) -> None:
        self._found = found

    def result(self, timeout: float | None = None) -> Any:
        assert timeout is None or timeout > 0
        return self._found()


@dataclass(frozen=True, slots=True)
class _Offset:
    offset: int


@dataclass(frozen=True, slots=True)
class _Described:
    topic_id: str


@dataclass(frozen=True, slots=True)
class _Topic:
    partitions: Sequence[int]
    error: None = None


@dataclass(frozen=True, slots=True)
class _Metadata:
    topics: dict[str, _Topic]


class AdminClient:
    """Questions about topics. Ends are those of the moment of asking, or of answering."""

    def __init__(self, broker: Broker, node: Node) -> None:
        self._broker, self._node = broker, node

    def list_topics(self, topic: str | None = None, timeout: float = 0) -> _Metadata:
        assert timeout > 0
        topics = self._broker.topics
        return _Metadata(
            {
                name: _Topic(range(len(partitions)))
                for name, partitions in topics.items()
                if topic in {None, name}
            }
        )

    def list_offsets(
        self, asked: Mapping[TopicPartition, OffsetSpec], **_how: object
    ) -> dict[TopicPartition, _Answer]:
        away = self._node.luck(0.02)
        return {
            place: _Answer(lambda: _Offset(0))
            if spec._value == _EARLIEST
            else self._end(place, away=away)
            for place, spec in asked.items()
        }

    def _end(self, place: TopicPartition, *, away: bool) -> _Answer:
        records = self._broker.partition((place.topic, place.partition))
        at_once = len(records) if self._node.luck(0.5) else None

        def answer() -> _Offset:
            if away:
                raise KafkaException(_AWAY)
            return _Offset(len(records) if at_once is None else at_once)

        return _Answer(answer)

    def describe_topics(self, names: object, **_how: object) -> dict[str, _Answer]:
        assert names is not None
        return {name: _Answer(partial(_Described, f"id of {name}")) for name in self._broker.topics}
