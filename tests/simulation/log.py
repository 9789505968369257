"""The log in memory: topics of partitions of records, stamped as they are appended."""

from dataclasses import dataclass, field

from tests.simulation.clock import Clock

Headers = list[tuple[str, bytes | None]]
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Stored:
    """One record; `stamp` is the broker's LogAppendTime in milliseconds."""

    stamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None


@dataclass
class Broker:
    """All topics of one world. An offset is a record's place in its partition.

    Of the topic `slow`, little of what is sent lands at a time.
    """

    clock: Clock
    slow: str | None = None
    topics: dict[str, list[list[Stored]]] = field(default_factory=dict)

    def create(self, topic: str, partitions: int) -> None:
        """A topic without records."""
        self.topics[topic] = [[] for _ in range(partitions)]

    def partition(self, place: Place) -> list[Stored]:
        """The records of one partition."""
        topic, number = place
        return self.topics[topic][number]

    def append(
        self, place: Place, key: bytes | None, value: bytes | None, headers: Headers | None
    ) -> int:
        """Write one record; its offset. Stamps never fall within a partition."""
        records = self.partition(place)
        stamp = self.clock.now // 1_000
        if records:
            stamp = max(stamp, records[-1].stamp)
        records.append(Stored(stamp, key, value, headers))
        return len(records) - 1
