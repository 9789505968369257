"""The Kafka client's settings, calls and errors as admission uses them: the edge to librdkafka."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import methodcaller

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from processors.admission.buffer import Buffer
from processors.admission.record import Records
from processors.admission.settings import AdmissionSettings
from projections.fold.connection import ANSWER_SECONDS, kafka_client
from projections.refusals import kafka_denial, no_topic
from schemas.errors import (
    ConfigurationError,
    DrawdownError,
    Fenced,
    LogError,
    LogReplacedError,
    LogUnavailable,
)
from schemas.topics import CREDITS, JOURNAL, USAGE

_LEADERS_SECONDS = 1.0
_FENCED = {KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED}  # noqa: SLF001
_FATAL = KafkaError._FATAL  # noqa: SLF001 - as a message tells it: `fatal()` is false there
_CUT = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}  # noqa: SLF001


def consumer_settings(settings: AdmissionSettings, group: str) -> dict[str, object]:
    """What both consumers share: positions are ours, an unknown one is an error, ends are told."""
    return {
        **kafka_client(settings.kafka),
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "check.crcs": True,
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 50,
    }


def map_error(error: KafkaError) -> DrawdownError:
    """The error of this project that a Kafka error means."""
    code = error.code()
    if denial := kafka_denial(error):
        return ConfigurationError(denial)
    if code in _FENCED:
        return Fenced(f"another worker has this group.instance.id: {error.str()}")
    if code in _CUT:
        return LogReplacedError(
            f"the log does not hold the offset admission stands at: {error.str()}"
        )
    if error.fatal() or code == _FATAL:
        return LogError(f"Kafka: {error.str()}")
    return LogUnavailable(f"Kafka: {error.str()}")


def low_watermark(consumer: Consumer, topic: str, partition: int) -> int:
    """The first offset that a partition holds, asked now. Raises LogUnavailable."""
    try:
        found = consumer.get_watermark_offsets(TopicPartition(topic, partition), ANSWER_SECONDS)
    except KafkaException as error:
        raise map_error(error.args[0]) from error
    if found is None:
        raise LogUnavailable(f"no answer about {topic} partition {partition}")
    low: int = found[0]
    return low


class Fetched:
    """What one `consume` brought of one topic, by partition: `records` in order, `ends` of the log.

    An error among them is for `check` to raise, once the records are taken: the client does not
    give them again.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        self.records: dict[int, list[Message]] = {}
        self.ends: dict[int, int] = {}
        self._failure: KafkaError | None = None
        told = [message for message in messages if message.error() is not None]
        if told:
            messages = [message for message in messages if message.error() is None]
        for partition, found in groupby(messages, methodcaller("partition")):
            self.records.setdefault(partition, []).extend(found)
        for message in told:
            self._note(message)

    def _note(self, message: Message) -> None:
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's name for it
            self.ends[message.partition() or 0] = message.offset() or 0
        elif self._failure is None or error.code() == _FATAL:
            self._failure = error

    def fill(
        self,
        buffers: Mapping[int, Buffer],
        records: Callable[[Sequence[Message]], Records],
    ) -> None:
        """Put what came into the buffer of its partition; without one, it is no longer ours.

        `records` takes messages out of the client.
        """
        for partition, found in self.records.items():
            if partition in buffers:
                buffers[partition].extend(records(found))
        for partition, offset in self.ends.items():
            if partition in buffers:
                buffers[partition].reached(offset)

    def check(self) -> None:
        """Raises what an error among the messages means."""
        if self._failure is not None:
            raise map_error(self._failure)


class EndOffsets:
    """A question for the offset after the last readable record of some places, asked at once."""

    def __init__(self, admin: AdminClient, places: Iterable[tuple[str, int]]) -> None:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        self._admin = admin
        self._answers = admin.list_offsets(
            {TopicPartition(*place): latest for place in places},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=ANSWER_SECONDS,
        )

    def answer(self) -> dict[tuple[str, int], int]:
        """Wait for the answer, by (topic, partition). Raises LogUnavailable.

        After a failure the next question finds who leads the partitions now: a broker that hung had
        led none for a moment, and the client asks for its topics again only after minutes.
        """
        try:
            return self._answered()
        except LogUnavailable:
            with suppress(KafkaException):
                self._admin.list_topics(timeout=_LEADERS_SECONDS)
            raise

    def _answered(self) -> dict[tuple[str, int], int]:
        try:
            ends = {
                (place.topic, place.partition): answer.result(ANSWER_SECONDS).offset
                for place, answer in self._answers.items()
            }
        except KafkaException as error:
            raise map_error(error.args[0]) from error
        except TimeoutError as error:
            raise LogUnavailable("no answer about end offsets") from error
        if any(end < 0 for end in ends.values()):  # librdkafka's way to tell that none came
            raise LogUnavailable("no answer about end offsets")
        return ends


def partition_count(admin: AdminClient, settings: AdmissionSettings) -> int:
    """The partitions of the deployment. Raises ConfigurationError unless all topics agree."""
    try:
        topics = admin.list_topics(timeout=ANSWER_SECONDS).topics
    except KafkaException as error:
        raise map_error(error.args[0]) from error
    counts = {}
    for topic in (USAGE, CREDITS, JOURNAL):
        name = settings.topic(topic)
        if name not in topics or topics[name].error is not None:
            raise ConfigurationError(no_topic(name))
        counts[name] = len(topics[name].partitions)
    if len(set(counts.values())) != 1:
        raise ConfigurationError(f"these topics must have the same partition count: {counts}")
    return next(iter(counts.values()))
