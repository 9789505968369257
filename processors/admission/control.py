"""Reads the catalog and the credits of owned partitions, assigned by hand.

The catalog is small and kept for ever: it is read once from its beginning and held, because every
partition copies it into its journal from a place of its own.
"""

from collections.abc import Callable, Mapping
from time import monotonic

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from processors.admission.buffer import Buffer
from processors.admission.kafka import consumer_settings, low_watermark, map_error
from processors.admission.record import RawRecord
from processors.admission.settings import AdmissionSettings
from schemas.topics import CATALOG, CREDITS

MOST_BUFFERED = 20_000


class Control:
    """The reader of control records. `record` takes a message out of the client.

    `log` is what was read of the catalog, from its beginning.
    """

    def __init__(self, settings: AdmissionSettings, record: Callable[[Message], RawRecord]) -> None:
        self._catalog, self._credits = settings.topic(CATALOG), settings.topic(CREDITS)
        self._record = record
        self._consumer = Consumer(consumer_settings(settings, f"{settings.group}.control"))
        low = low_watermark(self._consumer, self._catalog, 0)
        self.first = low
        self._exhausted = -1
        self.log: list[RawRecord] = []
        self._read_to = low
        self._owned: dict[int, tuple[Buffer, Buffer]] = {}
        self._paused: set[int] = set()
        self._consumer.assign([TopicPartition(self._catalog, 0, low)])

    def own(self, partition: int, catalog: Buffer, credits_: Buffer) -> None:
        """Fill both buffers from where they stand."""
        for record in self.log:
            catalog.append(record)
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
        for message in messages:
            if (error := message.error()) is not None:
                self._failed(message, error)
            elif message.topic() == self._catalog:
                self._append_catalog(message)
            elif (owned := self._owned.get(message.partition() or 0)) is not None:
                owned[1].append(self._record(message))
        self._limit()
        return len(messages)

    def read_to(self, ends: Mapping[tuple[str, int], int], seconds: float) -> None:
        """Read until every (topic, partition) of `ends` is reached, is full, or time is up."""
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
            if partition not in self._paused and not credits_.at_end(end):
                return True
            if not catalog.at_end(ends[self._catalog, 0]):
                return True
        return False

    def _append_catalog(self, message: Message) -> None:
        record = self._record(message)
        if record.offset < self._read_to:
            return
        self.log.append(record)
        self._read_to = record.offset + 1
        for catalog, _ in self._owned.values():
            catalog.append(record)

    def _failed(self, message: Message, error: KafkaError) -> None:
        if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's own name for it
            raise map_error(error)
        offset = message.offset() or 0
        if message.topic() == self._catalog:
            self._read_to = self._exhausted = max(self._read_to, offset)
            for catalog, _ in self._owned.values():
                catalog.reached(offset)
        elif (owned := self._owned.get(message.partition() or 0)) is not None:
            owned[1].reached(offset)

    def _limit(self) -> None:
        for partition, (_, credits_) in self._owned.items():
            place = [TopicPartition(self._credits, partition)]
            if partition not in self._paused and len(credits_) > MOST_BUFFERED:
                self._paused.add(partition)
                self._consumer.pause(place)
            elif partition in self._paused and len(credits_) < MOST_BUFFERED // 2:
                self._paused.discard(partition)
                self._consumer.resume(place)
