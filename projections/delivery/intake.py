"""Alerts from the log into the store: a member of a consumer group, in a thread of its own.

A partition's position moves in the call that keeps the deliveries, after its dead letters are
confirmed; what comes before it can only be repeated. Offsets committed to Kafka are for lag
displays. No receiver is called here, so a slow one holds nothing up.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from projections.delivery.dead import write_dead
from projections.delivery.settings import STAGE, DeliverySettings
from projections.delivery.sorting import Logged, sort
from projections.delivery.store import DeliveryStore
from projections.delivery.subscriptions import Subscriptions
from projections.fold.connection import kafka_client
from projections.fold.log import Log
from projections.fold.outbox import Outbox
from projections.fold.position import Position, record_digest
from projections.health import WorkerStatus, end
from projections.metrics import COMMITS, WEBHOOKS
from schemas.errors import Fenced, GapError, LogError, LogReplacedError
from schemas.topics import ALERTS, MAX_RECORD_BYTES

logger = logging.getLogger("drawdown")

MOST_RECORDS: Final = 100
"""Of a batch: with every subscription wanting each, a call to Redis stays in the megabytes."""
_POLL_SECONDS: Final = 0.25
_CHECK_SECONDS: Final = 5.0
_MILLISECOND: Final = 1_000
_FENCED: Final = {KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED}  # noqa: SLF001
_CUT: Final = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}  # noqa: SLF001


class Intake:
    """`wake` is called with the subscriptions that have something new."""

    def __init__(
        self,
        settings: DeliverySettings,
        store: DeliveryStore,
        outbox: Outbox,
        subscriptions: Callable[[], Subscriptions],
        status: WorkerStatus,
        wake: Callable[[Sequence[str]], None],
    ) -> None:
        self._settings, self._store, self._outbox = settings, store, outbox
        self._subscriptions, self._status, self._wake = subscriptions, status, wake
        self._log = Log(settings.kafka, settings.topic_prefix)
        self._topic = self._log.name(ALERTS.name)
        self._positions: dict[int, Position] = {}
        self._checked = time.monotonic()
        self._new: set[int] = set()
        """Partitions of which nothing was taken in yet."""
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begin; an error ends the process."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until it has left the group; it does once the status says that it stops."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            consumer = Consumer(_group(self._settings))
            consumer.subscribe(
                [self._topic],
                on_assign=self._assigned,
                on_revoke=self._revoked,
                on_lost=self._revoked,
            )
            while not self._status.stopping:
                self._round(consumer)
            consumer.close()
        except BaseException as error:  # noqa: BLE001 - a bug ends the process too, with its trace
            end(error)

    def _round(self, consumer: Consumer) -> None:
        messages = consumer.consume(MOST_RECORDS, _POLL_SECONDS)
        if not messages:
            self._check()
        for message in messages:
            _raise_for(message.error())
        fine = [each for each in messages if each.error() is None]
        for number, batch in groupby(sorted(fine, key=_place), key=lambda each: _place(each)[0]):
            if number in self._positions:
                self._take(consumer, number, list(batch))

    def _check(self) -> None:
        """While nothing comes: does Redis still hold what it held? Raises Fenced if it does not."""
        if time.monotonic() - self._checked < _CHECK_SECONDS:
            return
        self._checked = time.monotonic()
        for number, position in self._positions.items():
            stored = self._store.position(number)
            if stored != (None if number in self._new else position):
                raise Fenced(f"Redis holds another position of {self._topic} [{number}]: {stored}")

    def _take(self, consumer: Consumer, number: int, messages: list[Message]) -> None:
        before = self._positions[number]
        messages = [each for each in messages if _place(each)[1] >= before.offset]
        if not messages:
            return  # fetched before the partition was assigned again
        first = _place(messages[0])[1]
        if first != before.offset:
            raise GapError(f"{self._topic} [{number}]: {first} came where {before.offset} is next")
        now = time.time_ns() // 1_000
        subscriptions = self._subscriptions().subscriptions
        names = [each.id for each in subscriptions]
        stopped = self._store.disabled().keys() | {
            each.id for each in subscriptions if each.disabled
        }
        waiting = self._store.waiting(names)
        batch = [Logged(each.value() or b"", _logged(each, now)) for each in messages]
        found = sort(batch, subscriptions, stopped, waiting, self._settings.most_waiting, now)
        if found.dead:
            write_dead(self._outbox, found.dead)
        self._store.skip({name: min(logged) for name, logged in found.skipped.items()})
        last = messages[-1]
        target = Position(_place(last)[1] + 1, record_digest(batch[-1].body), before.topic_id)
        expected = None if number in self._new else before
        added = self._store.take(number, expected, target, found.taken, now)
        self._new.discard(number)
        self._positions[number] = target
        self._status.progressed(number, target.offset)
        COMMITS.labels(STAGE).inc()
        WEBHOOKS.labels("taken").inc(added)
        WEBHOOKS.labels("skipped").inc(sum(map(len, found.skipped.values())))
        self._wake(list(found.taken))
        self._tell(consumer, number, target.offset)

    def _tell(self, consumer: Consumer, number: int, offset: int) -> None:
        try:
            place = TopicPartition(self._topic, number, offset)
            consumer.commit(offsets=[place], asynchronous=True)
        except KafkaException as error:
            logger.debug("offsets were not committed, which only lag displays see: %s", error)

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        numbers = [place.partition for place in places]
        self._new = set()
        self._positions = {number: self._open(number) for number in numbers}
        self._status.joined = True
        self._status.assigned(set(numbers))
        for number, position in self._positions.items():
            self._status.progressed(number, position.offset)
        consumer.assign(
            [
                TopicPartition(self._topic, number, position.offset)
                for number, position in self._positions.items()
            ]
        )

    def _open(self, number: int) -> Position:
        stored = self._store.position(number)
        if stored is None:
            self._new.add(number)
            low = self._log.bounds(ALERTS.name, [number])[number][0]
            return Position(low, topic_id=self._log.topic_id(ALERTS.name))
        try:
            return self._log.check(ALERTS.name, number, stored)
        except LogReplacedError as error:
            hint = "alerts may be lost: `drawdown webhooks forget-position` goes on with those left"
            raise LogReplacedError(f"{self._topic} [{number}]: {error}; {hint}") from error

    def _revoked(self, _consumer: Consumer, _places: list[TopicPartition]) -> None:
        self._positions = {}
        self._status.assigned(set())


def _place(message: Message) -> tuple[int, int]:
    number, offset = message.partition(), message.offset()
    assert number is not None
    assert offset is not None
    return number, offset


def _logged(message: Message, now: int) -> int:
    kind, milliseconds = message.timestamp()
    return now if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds * _MILLISECOND


def _raise_for(error: KafkaError | None) -> None:
    """Raises for what does not pass; the client tries again by itself after the rest."""
    if error is None:
        return
    code = error.code()
    if code in _FENCED:
        raise Fenced(f"another dispatcher has this group.instance.id: {error.str()}")
    if code in _CUT:
        raise LogReplacedError(f"the log does not hold the offset where it stood: {error.str()}")
    if error.fatal():
        raise LogError(f"Kafka: {error.str()}")
    logger.warning("Kafka: %s", error.str())


def _group(settings: DeliverySettings) -> dict[str, str | int | float | bool]:
    session = settings.session_timeout_seconds * 1_000
    return {
        **kafka_client(settings.kafka),
        "group.id": f"{settings.key_prefix}-{settings.topic_prefix}webhooks",
        "group.instance.id": f"webhooks-{settings.member}",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": session,
        "heartbeat.interval.ms": max(session // 6, 100),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "fetch.message.max.bytes": MAX_RECORD_BYTES,
        "check.crcs": True,
    }
