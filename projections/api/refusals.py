"""Why a command was refused: the topic of rejected records, read from its end by this process.

Whoever sends a command says so first (`expect`); what the topic then says of records of the same
bytes is kept for it. Which of that is about its own record is decided by place (`of`): the topic
may repeat, and the same command may have been refused before.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from projections.access import Kafka
from projections.confirming import Place
from projections.fold.connection import kafka_client
from projections.fold.log import Log
from schemas.errors import LogUnavailable
from schemas.rejected import REASON_HEADER
from schemas.topics import MAX_RECORD_BYTES, REJECTED, USAGE

log = logging.getLogger("drawdown")
_BATCH: Final = 1_000
_POLL_SECONDS: Final = 0.02
_PAUSE_SECONDS: Final = 0.5
_TOPIC: Final = "__connect.errors.topic"
_PARTITION: Final = "__connect.errors.partition"
_OFFSET: Final = "__connect.errors.offset"
_MESSAGE: Final = "__connect.errors.exception.message"


@dataclass(frozen=True, slots=True)
class Refused:
    """One refusal: the code, what was wrong, and where what was refused stood.

    `offset` is of the raw topic where admission refused it, else of the journal.
    """

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int


@dataclass(eq=False)
class Expected:
    """Refusals of records of the same bytes, as they come."""

    value: bytes
    found: list[Refused] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, place: "Stand") -> Refused | None:
        """The refusal of the record that stands there, None where there is none yet."""
        return next((refused for refused in self.found if place.is_of(refused)), None)


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a record stands, for whoever refuses it.

    Admission names its place in the raw topic. The folds name a place in the journal of their
    partition: `above` is where that had been read to before the record was sent, `below` where it
    had been read to when the record was covered; what lies outside was another of the same bytes.
    """

    topic: str
    place: Place
    fold: int
    above: int
    below: int

    def is_of(self, refused: Refused) -> bool:
        """Whether that is about this record."""
        if refused.topic == self.topic:
            return (refused.partition, refused.offset) == self.place
        return refused.partition == self.fold and self.above <= refused.offset < self.below


class Refusals:
    """The tail of the topic, in a thread of its own. `expect` is called from one event loop."""

    def __init__(self, kafka: Kafka, topic_prefix: str) -> None:
        self._kafka, self._log = kafka, Log(kafka, topic_prefix)
        self._topic, self._usage = self._log.name(REJECTED.name), self._log.name(USAGE.name)
        self._expected: dict[bytes, list[Expected]] = {}
        self._read_to: dict[int, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._follow, name="refusals", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin at the topic's end. Raises LogUnavailable."""
        self._loop = loop
        self._read_to = self.ends()
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stopping = True
        self._thread.join(1.0)

    @property
    def alive(self) -> bool:
        """Whether the topic is being read."""
        return self._thread.is_alive()

    @contextmanager
    def expect(self, value: bytes) -> Iterator[Expected]:
        """Keep what is refused of records of these bytes, from now on."""
        expected = Expected(value)
        self._expected.setdefault(value, []).append(expected)
        try:
            yield expected
        finally:
            others = self._expected[value]
            others.remove(expected)
            if not others:
                del self._expected[value]

    def ends(self) -> dict[int, int]:
        """Where the topic ends, by partition. Raises LogUnavailable."""
        return self._log.ends(REJECTED.name, range(self._log.partitions(REJECTED.name)))

    async def read_to(self, ends: dict[int, int], seconds: float) -> bool:
        """Wait until all below `ends` was read; False where it was not, in time."""
        give_up = time.monotonic() + seconds
        while any(self._read_to.get(number, 0) < end for number, end in ends.items()):
            if time.monotonic() > give_up:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    def _follow(self) -> None:
        while not self._stopping:
            consumer = self._consumer()
            try:
                self._consume(consumer)
            except (KafkaException, LogUnavailable) as error:
                log.warning("the rejected topic cannot be read: %s", error)
                time.sleep(_PAUSE_SECONDS)
            finally:
                consumer.close()

    def _consume(self, consumer: Consumer) -> None:
        places = [TopicPartition(self._topic, *at) for at in self._read_to.items()]
        consumer.assign(places)
        while not self._stopping:
            for message in consumer.consume(_BATCH, _POLL_SECONDS):
                if (error := message.error()) is not None:
                    if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
                        self._read_to = self.ends()  # what was there is gone: nobody is told of it
                    raise LogUnavailable(str(error))
                self._take(message)

    def _take(self, message: Message) -> None:
        value = message.value() or b""
        if self._expected and value in self._expected:
            headers = dict(message.headers() or [])
            if headers.get(_TOPIC) != self._usage.encode():
                self._tell(value, _refused(headers))
        self._read_to[message.partition() or 0] = (message.offset() or 0) + 1

    def _tell(self, value: bytes, refused: Refused) -> None:
        def deliver() -> None:
            for expected in self._expected.get(value, ()):
                expected.found.append(refused)
                expected.came.set()

        assert self._loop is not None
        self._loop.call_soon_threadsafe(deliver)

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                **kafka_client(self._kafka),
                "group.id": "drawdown-api",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 50,
                "fetch.message.max.bytes": MAX_RECORD_BYTES,
            }
        )


def _refused(headers: dict[str, bytes | str | None]) -> Refused:
    return Refused(
        _text(headers, REASON_HEADER),
        _text(headers, _MESSAGE),
        _text(headers, _TOPIC),
        int(_text(headers, _PARTITION)),
        int(_text(headers, _OFFSET)),
    )


def _text(headers: dict[str, bytes | str | None], name: str) -> str:
    found = headers[name]
    return found if isinstance(found, str) else (found or b"").decode()
