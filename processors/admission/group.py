"""Membership: which partitions this worker owns, opened from Redis and let go in order.

Positions come from Redis, never from the group's committed offsets, which are for lag displays
(architecture.md section 3, rule 4). Assignment starts with empty memory; what a revoked partition
had under way is waited for shortly, and what was not acknowledged the successor replays.
"""

import logging
import time
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from processors.admission.claims import Claims, Held
from processors.admission.control import Control
from processors.admission.examine import Examiner
from processors.admission.kafka import consumer_settings, low_watermark
from processors.admission.outbox import Outbox
from processors.admission.owned import Owned
from processors.admission.patience import Patience, Stopped
from processors.admission.settings import AdmissionSettings, microseconds
from processors.admission.window import Window
from processors.admission.writer import Writer
from schemas.errors import LogReplacedError, StoreUnavailable
from schemas.frames import Source
from schemas.topics import CREDITS, USAGE

log = logging.getLogger("drawdown")

LEAVE_SECONDS: Final = 5.0


class Group:
    """The group's consumer and what is owned, by partition number."""

    def __init__(
        self,
        settings: AdmissionSettings,
        partitions: int,
        claims: Claims,
        control: Control,
        outbox: Outbox,
        writer: Writer,
        patience: Patience,
    ) -> None:
        self._settings, self._partitions, self._claims = settings, partitions, claims
        self._control, self._outbox, self._writer = control, outbox, writer
        self._patience = patience
        self._usage, self._credits = settings.topic(USAGE), settings.topic(CREDITS)
        self._window = Window(
            microseconds(settings.max_event_age), microseconds(settings.max_event_lead)
        )
        self.owned: dict[int, Owned] = {}
        self.joined = False
        self.consumer = Consumer(_group_settings(settings))
        self.consumer.subscribe(
            [self._usage], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )

    def acknowledge(self, *, wait: bool = False) -> bool:
        """Store what the journal has confirmed; whether anything was stored. Raises as `Writer`."""
        vectors = {
            partition: self._writer.acknowledge(owned, wait=wait)
            for partition, owned in self.owned.items()
        }
        places = [
            TopicPartition(self._usage, partition, vector[Source.USAGE])
            for partition, vector in vectors.items()
            if vector is not None
        ]
        if places:
            try:
                self.consumer.commit(offsets=places, asynchronous=True)
            except KafkaException as error:
                log.debug("offsets were not committed, which only lag displays see: %s", error)
        return bool(places)

    def limit(self, most: int) -> None:
        """Pause partitions with more than `most` buffered records, resume those with under half."""
        for partition, owned in self.owned.items():
            place = [TopicPartition(self._usage, partition)]
            if not owned.paused and len(owned.usage) > most:
                self.consumer.pause(place)
                owned.paused = True
            elif owned.paused and len(owned.usage) < most // 2:
                self.consumer.resume(place)
                owned.paused = False

    def finish(self, seconds: float) -> None:
        """Wait for what was sent, acknowledge it, and leave."""
        try:
            self._settle(seconds)
        except Stopped:
            log.info("stopped without acknowledging: the successor replays")
        self.owned.clear()
        self.consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            places = [self._open(place.partition) for place in partitions]
        except Stopped:
            places = []
        consumer.assign(places)
        self.joined = True

    def _open(self, partition: int) -> TopicPartition:
        held = self._patience.until_done(lambda: self._held(partition))
        vector = held.vector
        examiner = Examiner(partition, self._partitions, self._window)
        owned = Owned(examiner, vector, held.clock, vector, vector[Source.USAGE], time.monotonic())
        catalog, credits_, _ = owned.buffers
        self._patience.until_done(lambda: self._control.own(partition, catalog, credits_))
        self.owned[partition] = owned
        return TopicPartition(self._usage, partition, vector[Source.USAGE])

    def _held(self, partition: int) -> Held:
        low = low_watermark(self.consumer, self._usage, partition)
        held = self._claims.held(partition)
        if held is None:
            credits_low = low_watermark(self.consumer, self._credits, partition)
            vector = (self._control.first, credits_low, low)
            log.warning("no claims for partition %d: admitting from offsets %s", partition, vector)
            self._claims.begin(partition, vector)
            held = self._claims.held(partition)
            if held is None:
                raise StoreUnavailable(f"Redis lost the claims of partition {partition} at once")
        if held.vector[Source.USAGE] < low:  # beyond its end: the first fetch says so (kafka._CUT)
            raise LogReplacedError(
                f"{self._usage} partition {partition} begins at {low}, admission stands at"
                f" {held.vector[Source.USAGE]}: records were deleted before they were admitted"
            )
        return held

    def _revoked(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            self._settle(LEAVE_SECONDS)
        except Stopped:
            log.info("left without acknowledging: the successor replays")
        self._forget(partitions)

    def _lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget(partitions)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        self.joined = False
        for place in partitions:
            self.owned.pop(place.partition, None)
            self._control.disown(place.partition)

    def _settle(self, seconds: float) -> None:
        self._outbox.flush(seconds)
        self.acknowledge(wait=True)


def _group_settings(settings: AdmissionSettings) -> dict[str, object]:
    found = consumer_settings(settings, settings.group)
    found |= {
        "partition.assignment.strategy": "range",
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": max(settings.session_timeout_ms // 6, 100),
        "queued.min.messages": 50_000,
        "fetch.message.max.bytes": 4_000_000,
        "fetch.queue.backoff.ms": 10,  # a full queue otherwise stops fetching for a second
        "queued.max.messages.kbytes": 65_536,
    }
    if settings.instance_id is not None:
        found["group.instance.id"] = settings.instance_id
    return found
