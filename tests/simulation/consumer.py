"""A Kafka consumer over the log in memory, as far as the pipeline uses one.

It obeys the contract suite that a real one obeys (`test_contracts`). Its node makes fetches stop
early and come in any order of the partitions.
"""

# ruff: noqa: D102 - as Kafka's client is called

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, TopicPartition

from tests.simulation.log import Broker, Headers, Place, Stored
from tests.simulation.node import Node

_END = KafkaError(KafkaError._PARTITION_EOF)


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
