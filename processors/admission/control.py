"""Reads the catalog and the credits of owned partitions, assigned by hand.

The catalog is small and kept for ever: it is read once from its beginning and held, because every
partition copies it into its journal from a place of its own.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from confluent_kafka import Consumer, Message, TopicPartition

from processors.admission.buffer import Buffer
from processors.admission.kafka import Fetched, consumer_settings, low_watermark
from processors.admission.record import Records
from processors.admission.settings import AdmissionSettings
from schemas.topics import CATALOG, CREDITS

MOST_BUFFERED = 20_000


class Control:
    """The reader of control records. `records` takes messages out of the client.

    `log` is what was read of the catalog, from its beginning.
    """

    def __init__(
        self, settings: AdmissionSettings, records: Callable[[Sequence[Message]], Records]
    ) -> None:
        self._catalog, self._credits = settings.topic(CATALOG), settings.topic(CREDITS)
        self._records = records
        self._consumer = Consumer(consumer_settings(settings, f"{settings.group}.control"))
        low = low_watermark(self._consumer, self._catalog, 0)
        self.first = low
        self._exhausted = -1
        self.log = Records()
        self._read_to = low
        self._owned: dict[int, tuple[Buffer, Buffer]] = {}
        self._paused: set[int] = set()
        self._consumer.assign([TopicPartition(self._catalog, 0, low)])

    def own(self, partition: int, catalog: Buffer, credits_: Buffer) -> None:
        """Fill both buffers from where they stand."""
        catalog.extend(self.log)
        if self._exhausted >= self._read_to:
            catalog.reached(self._exhausted)
        self._owned[partition] = (catalog, credits_)
        self._consumer.incremental_assign(
            [TopicPartition(self._credits, partition, credits_.read_to)]
        )

    def disown(self, partition: int) -> None:
        """Read this partition's credits no longer."""
        if self._owned.pop(partition, None) is not None:
            self._paused.discard(partition)
            self._consumer.incremental_unassign([TopicPartition(self._credits, partition)])

    def read(self, seconds: float = 0) -> int:
        """Take what has arrived; how many records that was."""
        messages = self._consumer.consume(2_000, seconds)
        catalog = Fetched([m for m in messages if m.topic() == self._catalog])
        credits_ = Fetched([m for m in messages if m.topic() != self._catalog])
        self._take_catalog(catalog)
        credits_.fill({p: buffers[1] for p, buffers in self._owned.items()}, self._records)
        self._limit()
        catalog.check()
        credits_.check()
        return len(messages)

    def read_to(self, ends: Mapping[tuple[str, int], int], seconds: float) -> None:
        """Read until every (topic, partition) of `ends` is passed, is full, or time is up."""
        until = monotonic() + seconds
        while self._behind(ends) and monotonic() < until:
            self.read(0.05)

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _behind(self, ends: Mapping[tuple[str, int], int]) -> bool:
        for partition, (catalog, credits_) in self._owned.items():
            if (end := ends.get((self._credits, partition))) is None:
                continue
            if partition not in self._paused and not credits_.has_passed(end):
                return True
            if not catalog.has_passed(ends[self._catalog, 0]):
                return True
        return False

    def _take_catalog(self, fetched: Fetched) -> None:
        for found in fetched.records.values():
            records = self._records(found)
            for catalog, _ in self._owned.values():
                catalog.extend(records)
            new = bisect_left(records.offsets, self._read_to)
            self.log.extend(records.take(new, len(records)))
            self._read_to = max(self._read_to, records.offsets[-1] + 1)
        for offset in fetched.ends.values():
            self._read_to = self._exhausted = max(self._read_to, offset)
            for catalog, _ in self._owned.values():
                catalog.reached(offset)

    def _limit(self) -> None:
        for partition, (_, credits_) in self._owned.items():
            place = [TopicPartition(self._credits, partition)]
            if partition not in self._paused and len(credits_) > MOST_BUFFERED:
                self._paused.add(partition)
                self._consumer.pause(place)
            elif partition in self._paused and len(credits_) < MOST_BUFFERED // 2:
                self._paused.discard(partition)
                self._consumer.resume(place)
