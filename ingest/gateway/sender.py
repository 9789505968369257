"""Events into the log, each request answered when every in-sync replica has all that it sent.

One producer for all requests; a thread of its own serves its delivery reports. What is not
confirmed in time is answered with 503 and may still arrive: the event's id makes a retry safe
(credits.md section 9). For the same reason the producer is not idempotent: a copy that it makes is
refused as any other is, while an idempotent one may be fenced for good by an outage.
"""

import asyncio
import threading
from collections.abc import Sequence
from typing import Final

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from ingest.gateway.events import Posted
from ingest.producer import check_topic
from projections.access import Kafka
from projections.fold.connection import kafka_client
from projections.refusals import Heard, kafka_denial
from schemas.errors import LogUnavailable
from schemas.topics import MAX_RECORD_BYTES, USAGE

ANSWER_SECONDS: Final = 10.0
"""A request is answered within this time, one way or the other."""
MOST_PENDING: Final = 100_000
"""Events that were taken and are not confirmed; more are asked to come later."""
_POLL_SECONDS: Final = 0.05


class Busy(Exception):
    """More is under way than is taken at a time."""


class Sender:
    """Sends to the topic of usage. `send` is called from one event loop."""

    def __init__(self, kafka: Kafka, topic_prefix: str = "") -> None:
        self._kafka, self._topic = kafka, topic_prefix + USAGE.name
        self._heard = Heard()
        self._producer = confluent_kafka.Producer(
            {
                **kafka_client(kafka, self._heard),
                "acks": "all",
                "enable.idempotence": False,
                "message.timeout.ms": int(ANSWER_SECONDS * 1_000),
                "partitioner": "murmur2",
                "linger.ms": 5,
                "batch.num.messages": 10_000,
                "batch.size": 1_000_000,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 2 * MOST_PENDING,
                "queue.buffering.max.kbytes": 512 * 1024,
                "message.max.bytes": MAX_RECORD_BYTES,
                "log_level": 0,
            }
        )
        self.pending = 0
        self._closed = False
        self._thread = threading.Thread(target=self._poll, name="deliveries", daemon=True)
        self._thread.start()

    def connect(self) -> None:
        """See that the broker answers and the topic is there.

        Raises LogUnavailable, and ConfigurationError where this client is refused.
        """
        check_topic(self._producer, self._heard, self._kafka, self._topic)

    async def send(self, events: Sequence[Posted]) -> None:
        """Return when all of `events` are confirmed.

        Raises Busy, with none of them sent, and LogUnavailable, with each of them sent or not.
        """
        if not events:
            return
        if self.pending + len(events) > MOST_PENDING:
            raise Busy
        self.pending += len(events)
        waiting = _Waiting(len(events), asyncio.get_running_loop())
        sent = 0
        try:
            for account, value in events:
                self._producer.produce(self._topic, value, account, on_delivery=waiting.told)
                sent += 1
        except (BufferError, KafkaException) as error:
            waiting.unsent(len(events) - sent, str(error))
        try:
            # As long as the client tries, and a moment for what it says in the end.
            await asyncio.wait_for(asyncio.shield(waiting.done), ANSWER_SECONDS + 1)
        except TimeoutError:
            raise LogUnavailable("Kafka confirmed nothing in time") from None
        finally:
            self.pending -= len(events)
        if waiting.failure is not None:
            raise LogUnavailable(waiting.failure)

    def close(self) -> None:
        """Wait for what is under way, as long as a request would."""
        self._producer.flush(ANSWER_SECONDS)
        self._closed = True
        self._thread.join(2 * _POLL_SECONDS)

    def _poll(self) -> None:
        while not self._closed:
            self._producer.poll(_POLL_SECONDS)


class _Waiting:
    """The deliveries that one request waits for. `told` comes from the thread that polls."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self._left, self._loop = count, loop
        self._lock = threading.Lock()
        self.done: asyncio.Future[None] = loop.create_future()
        self.failure: str | None = None

    def told(self, error: KafkaError | None, _message: Message) -> None:
        """One more was confirmed, or will not be."""
        if error is not None:
            self.failure = kafka_denial(error) or f"Kafka: {error.str()}"
        self._less(1)

    def unsent(self, count: int, why: str) -> None:
        """`count` of them could not even be queued."""
        self.failure = f"Kafka: {why}"
        self._less(count)

    def _less(self, count: int) -> None:
        with self._lock:
            self._left -= count
            if self._left:
                return
        self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
