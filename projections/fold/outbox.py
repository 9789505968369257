"""What a stage writes to Kafka: acks=all, idempotent, no message timeout, die on the first error.

A `confluent_kafka.Producer` with its own polling thread: `send` returns at once with a `Delivery`,
and `delivered` says whether the broker has confirmed. librdkafka keeps the order per partition; a
delivery error is final there, so it ends the process (architecture.md section 3, rule 4).
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from projections.access import Kafka
from projections.fold.connection import kafka_client
from projections.refusals import kafka_denial
from schemas.errors import DeliveryError
from schemas.topics import MAX_RECORD_BYTES, Topic

_POLL_SECONDS: Final = 0.1
_FULL_PAUSE_SECONDS: Final = 0.005
_BY_KEY: Final = -1
"""librdkafka's RD_KAFKA_PARTITION_UA: the partitioner decides."""


@dataclass(frozen=True, slots=True)
class Output:
    """One record to write. Without `partition` the key decides, by murmur2."""

    topic: Topic
    value: bytes
    key: bytes | None = None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class Delivery:
    """The state of one record that was sent."""

    done: bool = False
    error: str | None = None


@dataclass
class Outbox:
    """Sends outputs. Thread-safe; `close` flushes what is queued."""

    kafka: Kafka
    topic_prefix: str = ""
    waiting: Callable[[str | None], None] = field(default=lambda _cause: None)

    def __post_init__(self) -> None:
        self._producer = Producer(
            {
                **kafka_client(self.kafka),
                "acks": "all",
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "message.max.bytes": MAX_RECORD_BYTES,
                "linger.ms": 2,
                "partitioner": "murmur2_random",
                "queue.buffering.max.kbytes": 262_144,
            }
        )
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._poll, name="outbox", daemon=True)
        self._thread.start()

    def send(self, output: Output) -> Delivery:
        """Queue `output`; waits while the queue is full: back-pressure, never loss."""
        delivery = Delivery()

        def confirm(error: KafkaError | None, _message: Message) -> None:
            with self._changed:
                delivery.done = True
                delivery.error = None if error is None else kafka_denial(error) or str(error)
                self._changed.notify_all()

        partition = _BY_KEY if output.partition is None else output.partition
        while True:
            try:
                self._producer.produce(
                    self.topic_prefix + output.topic.name,
                    value=output.value,
                    key=output.key,
                    headers=list(output.headers) or None,
                    partition=partition,
                    on_delivery=confirm,
                )
            except BufferError:
                time.sleep(_FULL_PAUSE_SECONDS)
            except KafkaException as error:
                message = f"{output.topic.name}: {error}"
                raise DeliveryError(message) from error
            else:
                return delivery

    def delivered(self, deliveries: Sequence[Delivery], *, wait: bool) -> bool:
        """Are all confirmed? With `wait`, returns only when they are. Raises DeliveryError."""
        with self._changed:
            while True:
                failed = next((d.error for d in deliveries if d.error is not None), None)
                if failed is not None:
                    message = f"a record was not delivered: {failed}"
                    raise DeliveryError(message)
                if all(d.done for d in deliveries):
                    self.waiting(None)
                    return True
                if not wait:
                    return False
                self.waiting("kafka: waiting for a delivery")
                self._changed.wait(timeout=1.0)

    def close(self, seconds: float = 5.0) -> None:
        """Flush and stop; what is not delivered by then is repeated by the successor."""
        self._producer.flush(seconds)
        self._closed = True
        self._thread.join(timeout=2 * _POLL_SECONDS)

    def _poll(self) -> None:
        while not self._closed:
            self._producer.poll(_POLL_SECONDS)
