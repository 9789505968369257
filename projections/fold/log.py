"""Looking at the log without consuming it: bounds, topic ids, single records, whole partitions."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from projections.access import Kafka
from projections.fold.connection import ask_topics, kafka_client
from projections.fold.position import Position, check_log
from projections.refusals import Heard, kafka_denial
from schemas.errors import ConfigurationError, LogUnavailable
from schemas.topics import MAX_RECORD_BYTES

K = TypeVar("K")
_TIMEOUT_SECONDS: Final = 20.0
_AGAIN_SECONDS: Final = 0.1
_ASK_SECONDS: Final = 5.0
_MOST_AT_ONCE: Final = 1_000
"""Records are copied while no other thread may run: large ones a hundred MB a second."""
_PASSING: Final = (
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError._NOENT,  # noqa: SLF001 - "No leaders found"
    KafkaError._TIMED_OUT,  # noqa: SLF001
)
"""The partition has no leader yet, or the client knows the one of before a broker's restart, or its
connection has fallen silent, which a request that is not answered has closed."""
Headers = list[tuple[str, bytes | None]]
Read = tuple[int, int, bytes, bytes | None, Headers]
"""Offset, timestamp in milliseconds, value, key and headers of one record."""


class Log:
    """Reads one cluster's topics by hand, with no group.

    Raises LogUnavailable on time-outs, ConfigurationError where this client is refused.
    """

    def __init__(self, kafka: Kafka, topic_prefix: str = "") -> None:
        self._kafka, self._prefix = kafka, topic_prefix
        self._heard = Heard()
        self._admin = AdminClient(kafka_client(kafka, self._heard))

    def name(self, topic: str) -> str:
        """The topic's name in this deployment."""
        return self._prefix + topic

    def topic_id(self, topic: str) -> str:
        """The broker's id of the topic: another one after it was deleted and created again."""
        name = self.name(topic)
        wanted = TopicCollection([name])
        described = self._ask(
            topic, lambda: self._admin.describe_topics(wanted, request_timeout=_ASK_SECONDS)
        )
        return str(described[name].topic_id)

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; 0 where there is no such topic."""
        name = self.name(topic)
        # Of all: the embedded broker creates a topic that is asked for by its name.
        topics = ask_topics(self._admin, self._heard, self._kafka, _TIMEOUT_SECONDS)
        return len(topics[name].partitions) if name in topics else 0

    def bounds(self, topic: str, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """The first offset held and the next offset to be written, of each partition."""
        low = self._offsets(topic, partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        high = self.ends(topic, partitions)
        return {number: (low[number], high[number]) for number in partitions}

    def ends(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        """The next offset to be written, of each partition."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        return self._true_ends(topic, self._offsets(topic, partitions, latest))

    def _true_ends(self, topic: str, reported: dict[int, int]) -> dict[int, int]:
        """What a fetch says: the embedded broker reports its last batch's first offset plus one."""
        name = self.name(topic)
        places = [TopicPartition(name, number, end) for number, end in reported.items() if end]
        if not places:
            return reported
        waiting = {place.partition for place in places}
        give_up = time.monotonic() + _TIMEOUT_SECONDS
        consumer = self._consumer({"enable.partition.eof": True, "fetch.wait.max.ms": 10})
        try:
            consumer.assign(places)
            while waiting:
                for message in consumer.consume(len(places), timeout=0.1):
                    error = message.error()
                    if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                        raise _failure(error)
                    waiting.discard(message.partition() or 0)
                if time.monotonic() > give_up:
                    raise LogUnavailable(f"{name}: no answer about where it ends")
            fetched = {
                place.partition: consumer.get_watermark_offsets(place, cached=True)[1]
                for place in places
            }
        finally:
            consumer.close()
        return {number: max(end, fetched.get(number, 0)) for number, end in reported.items()}

    def _offsets(self, topic: str, partitions: Sequence[int], spec: OffsetSpec) -> dict[int, int]:
        name = self.name(topic)
        asked = {TopicPartition(name, number): spec for number in partitions}
        if not asked:
            return {}
        answered = self._ask(
            topic, lambda: self._admin.list_offsets(asked, request_timeout=_ASK_SECONDS)
        )
        return {place.partition: answer.offset for place, answer in answered.items()}

    def _ask(self, topic: str, question: Callable[[], Mapping[K, object]]) -> dict[K, Any]:
        """The answers, by what was asked about; asked again while what is wrong may pass."""
        give_up = time.monotonic() + _TIMEOUT_SECONDS
        while True:
            futures = question()
            try:
                return {about: _result(each, self.name(topic)) for about, each in futures.items()}
            except LogUnavailable as error:
                late = time.monotonic() > give_up
                # To ask for the partitions makes the client ask who leads them, too.
                if late or not _is_passing(error) or not self.partitions(topic):
                    raise
            time.sleep(_AGAIN_SECONDS)

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Read]:
        """The records from `start` up to, not including, `end`, each in its place."""
        if start >= end:
            return
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(self.name(topic), partition, start)])
            expected, quiet_since = start, time.monotonic()
            while expected < end:
                messages = consumer.consume(min(_MOST_AT_ONCE, end - expected), timeout=0.5)
                if messages:
                    quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since > _TIMEOUT_SECONDS:
                    raise LogUnavailable(
                        f"{topic} [{partition}] stops at {expected}, expected up to {end}"
                    )
                for message in messages:
                    if (error := message.error()) is not None:
                        raise _failure(error)
                    offset = message.offset() or 0
                    expected = offset + 1
                    if offset >= end:
                        return
                    yield _read(message)
        finally:
            consumer.close()

    def first(self, topic: str, places: Mapping[int, int]) -> dict[int, Read]:
        """The record at an offset of each partition, where it is told within a few seconds."""
        if not places:
            return {}
        name = self.name(topic)
        found: dict[int, Read] = {}
        give_up = time.monotonic() + _ASK_SECONDS
        consumer = self._consumer({"queued.min.messages": 1, "fetch.wait.max.ms": 10})
        try:
            consumer.assign([TopicPartition(name, number, at) for number, at in places.items()])
            while len(found) < len(places) and time.monotonic() < give_up:
                for message in consumer.consume(len(places), timeout=0.1):
                    number = message.partition() or 0
                    if message.error() is None and number not in found:
                        found[number] = _read(message)
                        consumer.incremental_unassign([TopicPartition(name, number)])
        finally:
            consumer.close()
        return found

    def check(self, topic: str, partition: int, position: Position) -> Position:
        """`check_log` against the broker; gives `position` with the topic's id."""
        topic_id = self.topic_id(topic)
        low, high = self.bounds(topic, [partition])[partition]
        last = position.offset - 1
        value = None
        if low <= last < high:
            value = next(self.read(topic, partition, last, last + 1))[2]
        check_log(position, topic_id, low, high, value)
        return Position(
            position.offset,
            position.digest,
            topic_id,
            position.vector,
            position.reached,
            position.clock,
        )

    def _consumer(self, more: Mapping[str, object] | None = None) -> Consumer:
        return Consumer(
            {
                **kafka_client(self._kafka, self._heard),
                "group.id": "drawdown-reader",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.message.max.bytes": MAX_RECORD_BYTES,
                "check.crcs": True,
                **(more or {}),
            }
        )


def _failure(error: KafkaError) -> ConfigurationError | LogUnavailable:
    """What a record that is an error means."""
    denial = kafka_denial(error)
    return LogUnavailable(str(error)) if denial is None else ConfigurationError(denial)


def _read(message: Message) -> Read:
    return (
        message.offset() or 0,
        message.timestamp()[1],
        message.value() or b"",
        message.key(),
        cast("Headers", message.headers() or []),
    )


def _is_passing(error: LogUnavailable) -> bool:
    cause = error.__cause__
    return isinstance(cause, KafkaException) and cause.args[0].code() in _PASSING


def _result(future: object, name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    try:
        result = future.result(timeout=_TIMEOUT_SECONDS)  # type: ignore[attr-defined]
        if getattr(result, "offset", 0) < 0:  # librdkafka's way to tell that no answer came
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001, TRY301
        return result  # noqa: TRY300
    except (KafkaException, TimeoutError) as error:
        code = None
        if isinstance(error, KafkaException):
            code = error.args[0].code()
            if denial := kafka_denial(error.args[0]):
                raise ConfigurationError(f"{name}: {denial}") from error
        hint = " (no such topic)" if code == KafkaError.UNKNOWN_TOPIC_OR_PART else ""
        message = f"{name}{hint}: {error}"
        raise LogUnavailable(message) from error
