"""Records into the log, each caller answered when every in-sync replica has all that it sent.

One producer for all callers of an event loop; a thread of its own serves its delivery reports. What
is not confirmed in time raises LogUnavailable and may still arrive: what is sent has an identity
that makes a retry safe (credits.md section 9). For the same reason the producer is not idempotent:
a copy that it makes is refused as any other is, while an idempotent one may be fenced for good by
an outage.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from projections.access import Kafka
from projections.fold.connection import MetadataClient, ask_topics, kafka_client
from projections.metrics.errors import failed
from projections.refusals import Heard, kafka_denial, no_topic
from schemas.errors import LogUnavailable
from schemas.topics import MAX_RECORD_BYTES

ANSWER_SECONDS: Final = 10.0
"""A caller is answered within this time, one way or the other."""
_POLL_SECONDS: Final = 0.05
_CONNECT_SECONDS: Final = 10.0

Told = Callable[[KafkaError | None, Message], None]
Record = tuple[str, bytes]
"""Key and value."""


class Busy(Exception):
    """More is under way than is taken at a time."""


class Place(NamedTuple):
    """Where a confirmed record stands in its topic."""

    partition: int
    offset: int


class ConfirmingProducer:
    """Sends by key, at most `most_pending` records at a time. Its sends come from one event loop.

    `configuration` adds to the client's.
    """

    def __init__(
        self, kafka: Kafka, most_pending: int, configuration: Mapping[str, str | int | float | bool]
    ) -> None:
        self._kafka, self._most = kafka, most_pending
        self._heard = Heard()
        self._producer = confluent_kafka.Producer(
            {
                **kafka_client(kafka, self._heard),
                "acks": "all",
                "enable.idempotence": False,
                "message.timeout.ms": int(ANSWER_SECONDS * 1_000),
                "partitioner": "murmur2",
                "compression.type": "lz4",
                "queue.buffering.max.messages": 2 * most_pending,
                "message.max.bytes": MAX_RECORD_BYTES,
                **configuration,
            }
        )
        self.pending = 0
        self._closed = False
        self._thread = threading.Thread(target=self._poll, name="deliveries", daemon=True)
        self._thread.start()

    def connect(self, *topics: str) -> None:
        """See that the broker answers and the topics are there.

        Raises LogUnavailable, and ConfigurationError where this client is refused.
        """
        for topic in topics:
            check_topic(self._producer, self._heard, self._kafka, topic)

    async def send(self, topic: str, records: Sequence[Record]) -> None:
        """Return when all of `records` are confirmed.

        Raises Busy, with none of them sent, and LogUnavailable, with each of them sent or not.
        """
        if records:
            waiting = _Waiting(len(records), asyncio.get_running_loop())
            await self._sent(topic, records, waiting, lambda _index: waiting.told)

    async def send_placed(self, topic: str, records: Sequence[Record]) -> list[Place]:
        """As `send`, and say where each record stands."""
        places: list[Place] = [Place(-1, -1)] * len(records)
        if not records:
            return places
        waiting = _Waiting(len(records), asyncio.get_running_loop())

        def placed(index: int, error: KafkaError | None, message: Message) -> None:
            if error is None:
                places[index] = Place(message.partition() or 0, message.offset() or 0)
            waiting.told(error, message)

        await self._sent(topic, records, waiting, lambda index: partial(placed, index))
        return places

    async def _sent(
        self,
        topic: str,
        records: Sequence[Record],
        waiting: "_Waiting",
        telling: Callable[[int], Told],
    ) -> None:
        if self.pending + len(records) > self._most:
            raise Busy
        self.pending += len(records)
        sent = 0
        try:
            for key, value in records:
                self._producer.produce(topic, value, key, on_delivery=telling(sent))
                sent += 1
        except (BufferError, KafkaException) as error:
            waiting.unsent(len(records) - sent, str(error))
        try:
            # As long as the client tries, and a moment for what it says in the end.
            await asyncio.wait_for(asyncio.shield(waiting.done), ANSWER_SECONDS + 1)
        except TimeoutError:
            raise _counted("Kafka confirmed nothing in time") from None
        finally:
            self.pending -= len(records)
        if waiting.failure is not None:
            raise _counted(waiting.failure)

    def close(self) -> None:
        """Wait for what is under way, as long as a caller would."""
        self._producer.flush(ANSWER_SECONDS)
        self._closed = True
        self._thread.join(2 * _POLL_SECONDS)

    def _poll(self) -> None:
        while not self._closed:
            self._producer.poll(_POLL_SECONDS)


def _counted(message: str) -> LogUnavailable:
    error = LogUnavailable(message)
    failed(error)
    return error


class _Waiting:
    """The deliveries that one caller waits for. `told` comes from the thread that polls."""

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


def check_topic(producer: MetadataClient, heard: Heard, kafka: Kafka, topic: str) -> None:
    """See that the broker answers and has `topic`. Raises LogUnavailable, ConfigurationError.

    All topics are asked for: a broker may create one that is asked for by name.
    """
    if topic not in ask_topics(producer, heard, kafka, _CONNECT_SECONDS):
        message = f"Kafka at {kafka} has {no_topic(topic)}"
        raise LogUnavailable(message)
