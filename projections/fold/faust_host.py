"""Faust as the host of a stage: groups, rebalancing, agents; never a single event.

An agent takes several frames at a time and hands them to one worker thread, in which everything
stateful happens (folding, Redis, sending); the event loop stays free for heartbeats. What facts.md
found decides the shape: Faust seeks after `on_partitions_assigned`, so the consumer's
`perform_seek` seeks to the positions that Redis holds; an agent that raises is restarted past its
records, so every error ends the process; a take buffer may survive a rebalance, so records are
filtered by position.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, cast

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import EventT
from yarl import URL

from projections.access import KafkaAccess
from projections.fold.batches import MOST_FRAMES, Batches
from projections.fold.connection import ANSWER_SECONDS
from projections.fold.stage import Record, StagePartition
from projections.health import WorkerStatus, end
from schemas.errors import LogUnavailable
from schemas.topics import MAX_RECORD_BYTES, Topic

T = TypeVar("T")
TAKE_SECONDS: Final = 0.1
"""A batch costs what a thousand events cost, however few it holds."""
SETTLE_SECONDS: Final = 0.02
DRAIN_SECONDS: Final = 15


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Where the stage reads, and as which member of which group."""

    kafka: KafkaAccess
    topic_prefix: str
    group: str
    instance_id: str
    session_timeout_seconds: int
    topic: Topic
    partitions: int


class _Consumer(driver.Consumer):
    """Seeks to the stage's own positions wherever Faust seeks to committed offsets."""

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:  # noqa: ANN401
        """The worker is a member now, though perhaps of no partition."""
        cast("_Transport", self.transport).host.joined()
        await super().on_partitions_assigned(assigned, generation_id)

    async def perform_seek(self) -> None:
        await super().perform_seek()
        host = cast("_Transport", self.transport).host
        assignment = {tp for tp in self.assignment() if tp.topic == host.topic}
        positions = await host.assigned({tp.partition for tp in assignment})
        for tp in assignment:
            offset = positions[tp.partition]
            await self.seek(tp, offset)
            self._committed_offset[tp] = offset


class _Transport(driver.Transport):
    Consumer = _Consumer
    host: "FaustHost"


class _App(faust.App):
    def _create_directories(self) -> None:
        """None: there are no tables, and a worker may run where it cannot write."""


class FaustHost:
    """Runs one stage until SIGTERM or SIGINT, or until an error ends the process.

    `open_partition` makes the stage's partition from Redis, with the log checked. It is called in
    the worker thread at every assignment: assignment starts with empty memory.
    """

    def __init__(
        self,
        settings: HostSettings,
        open_partition: Callable[[int], StagePartition],
        status: WorkerStatus,
    ) -> None:
        self._settings, self._open, self._status = settings, open_partition, status
        self._partitions: dict[int, StagePartition] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fold")
        self._batches = Batches()
        self._stop = asyncio.Event()

    @property
    def topic(self) -> str:
        """The name of the topic that the stage reads."""
        return self._settings.topic_prefix + self._settings.topic.name

    async def run(self) -> None:
        """Serve until stopped; drains what is pending before it returns."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        app = self._app()
        app.finalize()
        start = asyncio.create_task(app.start())
        stop = asyncio.create_task(self._stop.wait())
        settle = asyncio.create_task(self._settle_forever())
        await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.done():
            start.result()
            await stop
        self._status.stopping = True
        settle.cancel()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._in_thread(self._drain)
                await app.stop()
        except TimeoutError:
            message = f"not drained within {DRAIN_SECONDS} s: what is pending is folded again"
            end(LogUnavailable(message))

    def joined(self) -> None:
        """The group has taken the worker in."""
        self._status.joined = True

    async def assigned(self, numbers: set[int]) -> dict[int, int]:
        """Open these partitions afresh, forget all others; gives the offset to read each from."""
        return await self._in_thread(lambda: self._assign(numbers))

    def _assign(self, numbers: set[int]) -> dict[int, int]:
        self._partitions = {number: self._open(number) for number in sorted(numbers)}
        self._status.assigned(numbers)
        self._tell()
        return {number: part.folded.offset for number, part in self._partitions.items()}

    def _app(self) -> faust.App:
        settings = self._settings
        app = _App(
            settings.group,
            broker=[URL(f"kafka://{each}") for each in settings.kafka.addresses],
            broker_credentials=_credentials(settings.kafka),
            store="memory://",
            web_enabled=False,
            topic_disable_leader=True,
            stream_wait_empty=False,
            stream_buffer_maxsize=MOST_FRAMES,
            consumer_auto_offset_reset="earliest",  # never used: perform_seek names every offset
            consumer_group_instance_id=settings.instance_id,
            consumer_max_fetch_size=MAX_RECORD_BYTES,
            broker_request_timeout=max(2 * ANSWER_SECONDS, 2 * settings.session_timeout_seconds),
            broker_session_timeout=settings.session_timeout_seconds,
            broker_heartbeat_interval=max(settings.session_timeout_seconds / 4, 0.5),
            broker_commit_interval=1.0,
        )
        addresses = [URL(f"aiokafka://{each}") for each in settings.kafka.addresses]
        transport = _Transport(addresses, app)
        transport.host = self
        app.transport = transport
        topic = app.topic(
            self.topic,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            partitions=settings.partitions,
        )
        app.agent(topic, name=settings.group)(self._agent)
        return app

    async def _agent(self, stream: Any) -> None:  # noqa: ANN401 - Faust carries no types
        async for events in stream.noack_take(MOST_FRAMES, within=TAKE_SECONDS):
            for number, batch in self._batches.cut(events):
                records = [(event.message.offset, event.message.value or b"") for event in batch]
                done = await self._in_thread(partial(self._fold, number, records, batch))
                _acknowledge(done)

    def _fold(
        self, number: int, records: Sequence[Record], batch: list[EventT[Any]]
    ) -> list[object]:
        partition = self._partitions.get(number)
        if partition is None:
            return []
        done = partition.process(records, batch)
        self._batches.took(partition.fold_seconds)
        self._tell()
        return done

    async def _settle_forever(self) -> None:
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            if any(partition.pending for partition in self._partitions.values()):
                _acknowledge(await self._in_thread(self._settle))

    def _settle(self) -> list[object]:
        done = [token for part in self._partitions.values() for token in part.settle()]
        self._tell()
        return done

    def _tell(self) -> None:
        """What is folded but not committed is lag: its outputs may hang in a client library."""
        for number, partition in self._partitions.items():
            self._status.progressed(number, partition.committed.offset)

    def _drain(self) -> None:
        for partition in self._partitions.values():
            partition.settle(wait_for=0)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: _or_end(call))


def _credentials(access: KafkaAccess) -> object:
    """As Faust takes them; None where the broker is reached without TLS."""
    context = access.context()
    if access.security == "sasl_ssl":
        return faust.SASLCredentials(
            username=access.username,
            password=access.password,
            ssl_context=context,
            mechanism=access.mechanism,
        )
    return None if context is None else faust.SSLCredentials(context)


def _acknowledge(tokens: list[object]) -> None:
    """Kafka's committed offsets are for lag displays; the position in Redis rules."""
    for token in tokens:
        for event in token:  # type: ignore[attr-defined]
            event.ack()


def _or_end(call: Callable[[], T]) -> T:
    """The process's edge: no error may reach Faust, which would go on past the records at hand."""
    try:
        return call()
    except BaseException as error:  # noqa: BLE001 - a bug ends the process too, with its trace
        end(error)
