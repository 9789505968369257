"""The producer client: batches, idempotent, delivery confirmed, back-pressure instead of loss.

    with Producer("127.0.0.1:9092") as producer:
        producer.send({"id": "e1", "source": "api", "type": "api.call", "subject": "acme",
                       "time": "2026-01-01T00:00:00Z", "data": {"calls": 1}})

What is guaranteed: a record that `flush` has confirmed is in the log, acknowledged by all in-sync
replicas, once, after every record sent before it for the same account (acks=all, idempotent
producer). A record is never given up for lack of time: where the broker cannot be reached, `send`
and `flush` wait. The first record that the broker refuses ends the producer: from then on every
call raises DeliveryError. Not guaranteed: that a record is sent once when the *process* is started
again; that is what the event's id is for (credits.md section 9).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from ingest.outgoing import encode_event
from projections.access import Kafka, kafka_access
from projections.confirming import check_topic
from projections.refusals import Heard, kafka_denial
from schemas.destination import destination
from schemas.documents import Document
from schemas.errors import DeliveryError, LogUnavailable
from schemas.events import UsageEvent
from schemas.topics import MAX_RECORD_BYTES, USAGE

_CONFIGURATION: Final[Mapping[str, str | int | bool]] = {
    "acks": "all",
    "enable.idempotence": True,
    "message.timeout.ms": 0,
    "partitioner": "murmur2",
    "linger.ms": 20,
    "batch.num.messages": 10_000,
    "batch.size": 1_000_000,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 128 * 1024,
    "message.max.bytes": MAX_RECORD_BYTES,
    "log_level": 0,  # what went wrong is told by `trouble` and by exceptions
}
_POLL_EVERY: Final = 256
_POLL_SECONDS: Final = 0.1

Confirmed = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """How many records were sent, are confirmed by the broker, and were refused by it."""

    sent: int
    confirmed: int
    failed: int


class Producer:
    """Sends events and documents, keyed so that one account lives in one partition everywhere.

    `kafka` is an address, or a `KafkaAccess` with TLS and credentials; `configuration` are options
    of librdkafka, which win.

    `patience_seconds` bounds how long `send` and `flush` wait while the broker confirms nothing
    (None: for ever); then they raise LogUnavailable, and what was not confirmed may still arrive.
    Not to be shared by threads.
    """

    def __init__(
        self,
        kafka: Kafka,
        topic_prefix: str = "",
        *,
        patience_seconds: float | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        self._kafka = kafka
        self._prefix = topic_prefix
        self._usage = topic_prefix + USAGE.name
        self._patience = patience_seconds
        self._sent = self._confirmed = self._failed = 0
        self._first_failure: str | None = None
        self._trouble: str | None = None
        self._heard = Heard()
        self._producer = confluent_kafka.Producer(
            {
                **_CONFIGURATION,
                **kafka_access(kafka).options(),
                "on_delivery": self._delivered,
                "error_cb": self._error,
                **(configuration or {}),
            }
        )
        self._produce = self._producer.produce

    def connect(self) -> None:
        """See that the broker answers and the topic of usage exists.

        Raises LogUnavailable, and ConfigurationError where this client is refused.
        """
        check_topic(self._producer, self._heard, self._kafka, self._usage)

    def send(self, event: UsageEvent | Mapping[str, Any]) -> None:
        """Check and send one CloudEvent; `specversion` may be left out.

        Numbers in `data` are ints, Decimals or text, never floats. Raises ValueError that names
        what is wrong with the event, which is not sent; DeliveryError and LogUnavailable as the
        class says.
        """
        account, value = encode_event(event)
        self.send_encoded(account, value)

    def send_encoded(
        self, account: str | bytes, value: bytes, on_confirmed: Confirmed | None = None
    ) -> None:
        """Send one event that is JSON already, unchecked: the fast path.

        `on_confirmed` is called, from within a later `send…`, `poll` or `flush`, once the record is
        confirmed.
        """
        self._put(self._usage, account, value, on_confirmed)

    def send_document(self, document: Document) -> None:
        """Send one checked document to its topic: catalog by its id, credits by its account."""
        topic, key, value = destination(document)
        self._put(self._prefix + topic.name, key, value, None)

    def flush(self, timeout: float | None = None) -> int:
        """Wait until everything sent is confirmed, at most `timeout` seconds (None: no bound).

        Gives how many records are confirmed since the producer was made; all are, if it is
        `summary.sent`.
        """
        give_up = None if timeout is None else time.monotonic() + timeout
        wait = _Wait(self)
        while self._producer.flush(_POLL_SECONDS):
            self._raise_failure()
            if give_up is not None and time.monotonic() >= give_up:
                break
            wait.check()
        self._raise_failure()
        return self._confirmed

    @property
    def summary(self) -> Summary:
        """The counts up to the last call of `send…`, `poll` or `flush`."""
        return Summary(self._sent, self._confirmed, self._failed)

    @property
    def trouble(self) -> str | None:
        """What Kafka's client complained of since the last confirmed record: a lost broker …"""
        return self._trouble

    def poll(self) -> None:
        """Take in the confirmations that have come, without waiting."""
        self._producer.poll(0)
        self._raise_failure()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.purge()
            self._producer.flush(1.0)

    def _put(
        self, topic: str, key: str | bytes, value: bytes, on_confirmed: Confirmed | None
    ) -> None:
        if self._first_failure is not None:
            self._raise_failure()
        wait = None
        while True:
            try:
                if on_confirmed is None:
                    self._produce(topic, value, key)
                else:
                    told = partial(self._delivered_to, on_confirmed)
                    self._produce(topic, value, key, on_delivery=told)
            except BufferError:
                self._producer.poll(_POLL_SECONDS)
                self._raise_failure()
                wait = wait or _Wait(self)
                wait.check()
            except KafkaException as error:
                self._fail(error.args[0], topic, key)
                self._raise_failure()
            else:
                break
        self._sent += 1
        if self._sent % _POLL_EVERY == 0:
            self._producer.poll(0)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._confirmed += 1
            self._trouble = None
        else:
            self._fail(error, message.topic() or "", message.key() or b"")

    def _delivered_to(
        self, on_confirmed: Confirmed, error: KafkaError | None, message: Message
    ) -> None:
        self._delivered(error, message)
        if error is None:
            on_confirmed()

    def _fail(self, error: KafkaError, topic: str, key: str | bytes) -> None:
        self._failed += 1
        if self._first_failure is None:
            shown = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
            why = kafka_denial(error) or f"{error.str()} ({error.name()})"
            self._first_failure = f"{topic}, key {shown!r}: {why}"

    def _error(self, error: KafkaError) -> None:
        self._trouble = error.str()
        self._heard(error)

    def _raise_failure(self) -> None:
        if self._first_failure is not None:
            raise DeliveryError(self._first_failure)


class _Wait:
    """Raises LogUnavailable when nothing was confirmed for the producer's patience."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._confirmed = producer.summary.confirmed
        self._since = time.monotonic()

    def check(self) -> None:
        producer, now = self._producer, time.monotonic()
        if producer.summary.confirmed != self._confirmed:
            self._confirmed, self._since = producer.summary.confirmed, now
        patience = producer._patience  # noqa: SLF001 - one idea in two classes
        if patience is not None and now - self._since > patience:
            message = (
                f"Kafka confirmed nothing for {patience:g} s: {producer.trouble or 'no answer'}"
            )
            raise LogUnavailable(message)
