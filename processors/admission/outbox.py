"""What admission sends: journal frames, rejected records, forwards and ticks, through one producer.

The producer is idempotent and ordered, waits for all replicas and never gives up on a message; the
first delivery error is final (architecture.md section 3, rule 4). A `Flight` is one frame with
everything that was sent for the records it covers: it has landed when all of that is acknowledged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processors.admission.examine import FORWARDED_HEADER, KIND_HEADER, TICK_KIND
from processors.admission.record import RawRecord
from processors.admission.settings import AdmissionSettings
from projections.fold.connection import kafka_client
from projections.refusals import kafka_denial
from schemas.errors import DeliveryError
from schemas.frames import Source, Vector
from schemas.reasons import Refusal
from schemas.rejected import rejection_headers
from schemas.topics import CATALOG, CREDITS, JOURNAL, MAX_RECORD_BYTES, REJECTED, USAGE

TRUNCATED_HEADER: Final = "drawdown-truncated"
_ROOM: Final = 65_536
_KEPT: Final = 1_000_000

_Headers = list[tuple[str, bytes | None]]


@dataclass(slots=True)
class Flight:
    """One frame under way; `vector` and `clock` hold once `waiting` is 0."""

    vector: Vector
    clock: int
    waiting: int = 0


class Outbox:
    """Sends and counts what is not acknowledged. `check` raises what deliveries brought."""

    def __init__(self, settings: AdmissionSettings) -> None:
        self._topics = [settings.topic(topic) for topic in (CATALOG, CREDITS, USAGE)]
        self._journal = settings.topic(JOURNAL)
        self._rejected = settings.topic(REJECTED)
        self._failure: KafkaError | None = None
        self._producer = Producer(
            {
                **kafka_client(settings.kafka),
                "acks": "all",
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 2,
                "compression.type": "none",  # frames are compressed within
                "message.max.bytes": MAX_RECORD_BYTES,
            }
        )

    def frame(self, partition: int, value: bytes, flight: Flight) -> None:
        """Send a journal frame."""
        self._send(self._journal, flight, value=value, partition=partition)

    def reject(
        self, source: Source, partition: int, record: RawRecord, refusal: Refusal, flight: Flight
    ) -> None:
        """Send a refused record, its bytes and headers kept, with the reason.

        A record too large for the topic goes without its headers, its value cut, and says so.
        """
        detail = f"{refusal.path}: {refusal.detail}" if refusal.path else refusal.detail
        topic, reason = self._topics[source], str(refusal.reason)
        reasons: _Headers = list(rejection_headers(topic, partition, record.offset, reason, detail))
        key, value = record.key or b"", record.value or b""
        headers: _Headers = [*(record.headers or ()), *reasons]
        size = len(key) + len(value)
        size += sum(len(name) + len(text or b"") + 16 for name, text in headers)
        if size > MAX_RECORD_BYTES - _ROOM:
            headers = [*reasons, (TRUNCATED_HEADER, str(size).encode())]
            key, value = key[:_ROOM], value[:_KEPT]
        self._send(self._rejected, flight, value=value, key=key, headers=headers)

    def forward(self, record: RawRecord, partition: int, flight: Flight) -> None:
        """Send a usage record on to the partition of its account."""
        headers: _Headers = [*(record.headers or ()), (FORWARDED_HEADER, b"1")]
        self._send(
            self._topics[Source.USAGE],
            flight,
            value=record.value,
            key=record.key,
            headers=headers,
            partition=partition,
        )

    def tick(self, partition: int, landed: Callable[[], None]) -> None:
        """Send a tick to a usage partition; `landed` is called when the broker has it."""

        def delivered(error: KafkaError | None, _message: Message) -> None:
            self._note(error)
            landed()

        headers: _Headers = [(KIND_HEADER, TICK_KIND)]
        self._produce(
            self._topics[Source.USAGE], delivered, value=b"", partition=partition, headers=headers
        )

    def poll(self, seconds: float = 0) -> None:
        """Serve delivery reports. Raises DeliveryError after the first failure."""
        self._producer.poll(seconds)
        if self._failure is not None:
            why = kafka_denial(self._failure) or self._failure
            raise DeliveryError(f"a record was not delivered: {why}")

    def flush(self, seconds: float) -> bool:
        """Wait until everything is acknowledged; False when `seconds` were not enough."""
        left = self._producer.flush(seconds)
        self.poll()
        return left == 0

    def abandon(self) -> None:
        """Send nothing more."""
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)

    def _send(self, topic: str, flight: Flight, **record: object) -> None:
        def delivered(error: KafkaError | None, _message: Message) -> None:
            self._note(error)
            if error is None:
                flight.waiting -= 1

        flight.waiting += 1
        self._produce(topic, delivered, **record)

    def _produce(
        self,
        topic: str,
        delivered: Callable[[KafkaError | None, Message], None],
        **record: object,
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, on_delivery=delivered, **record)  # type: ignore[arg-type]
            except BufferError:
                self.poll(0.1)
            except KafkaException as error:
                raise DeliveryError(f"a record was not accepted for delivery: {error}") from error
            else:
                return

    def _note(self, error: KafkaError | None) -> None:
        if error is not None and self._failure is None:
            self._failure = error
