"""Record-to-balance latency of every event of an open loop: no sampling, no coordinated omission.

    with LatencyProbe(settings, "soak") as probe:
        ...                                   # send events, each with `event_id(scheduled, number)`
        probe.take()                          # what was measured up to now, by window
    histogram = merged(probe.windows.values())
    histogram.percentile(990), histogram.percentile(999), histogram.count

An event's id begins with the instant at which it was *scheduled* to be sent, so what delays the
sender counts as latency too. The probe reads each new ledger frame and waits until the position of
balances in Redis covers it: only then are its events in their balances. It runs as a process of its
own, so the sender does not slow it down, and it outlives a broker or a Redis that is down
meanwhile: that time is latency. Figures are late by at most the probe's own poll, never early.
"""

import multiprocessing
import queue
import signal
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import Final, Self, cast

import polars as pl
import redis
from confluent_kafka import Consumer, KafkaException, TopicPartition

from deploy.settings import Settings
from projections.balances.postings import OF_LINE, ORDINAL_BITS
from projections.balances.stage import STAGE
from projections.fold.connection import redis_client
from projections.fold.position import OutputReader, decode_position
from projections.fold.store import FIRST_NAMESPACE, base_key
from schemas.frames import Vector, decode_ledger
from schemas.times import SECOND
from schemas.topics import LEDGER, MAX_RECORD_BYTES

WINDOW_SECONDS: Final = 10
_DIGITS: Final = 16
_POLL_SECONDS: Final = 0.02
_TELL_SECONDS: Final = 1.0
_READY_SECONDS: Final = 30.0
_ASK_SECONDS: Final = 5.0
_DRAIN_SECONDS: Final = 30.0
_PLACE: Final = ("journal_offset", "row")

Counts = dict[tuple[int, int], int]
"""How many events by (second in which they were scheduled, milliseconds)."""


def event_id(scheduled: int, number: int) -> str:
    """The id of an event that is to be sent at `scheduled`, microseconds since the epoch."""
    return f"{scheduled:0{_DIGITS}d}-{number}"


class Histogram(Counter[int]):
    """How many events took so many milliseconds: exact to the millisecond, however many."""

    @property
    def count(self) -> int:
        """How many events were measured."""
        return self.total()

    @property
    def longest(self) -> int:
        """The longest latency, milliseconds; 0 of none."""
        return max(self, default=0)

    def percentile(self, per_mille: int) -> int:
        """The least milliseconds within which `per_mille` of 1,000 events were done; 0 of none."""
        rank = -(-self.count * per_mille // 1_000)
        for milliseconds in sorted(self):
            rank -= self[milliseconds]
            if rank <= 0:
                return milliseconds
        return 0


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All of them as one."""
    made = Histogram()
    for histogram in histograms:
        made.update(histogram)
    return made


class LatencyProbe:
    """Measures while it is open.

    `windows` are histograms by the start of the window of `WINDOW_SECONDS` in which the events were
    scheduled, in seconds since the epoch; `worst` is the longest latency by the second in which
    they were. `source` is the CloudEvents source of the events to be measured; one that ends in no
    line (a duplicate, a refused or an unrated one) is not. Open it on topics without such events.
    """

    def __init__(self, settings: Settings, source: str) -> None:
        self.windows: dict[int, Histogram] = {}
        self.worst: dict[int, int] = {}
        context: SpawnContext = multiprocessing.get_context("spawn")
        self._told: Queue[Counts] = context.Queue()
        self._stop = context.Event()
        arguments = (settings, source, self._told, self._stop)
        self._process: SpawnProcess = context.Process(target=_measure, args=arguments, daemon=True)

    @property
    def count(self) -> int:
        """How many events have been taken so far."""
        return sum(window.count for window in self.windows.values())

    @property
    def pid(self) -> int:
        """The probe's own process: not one of those that are measured."""
        return self._process.pid or 0

    def take(self) -> None:
        """Put what was measured since the last call into `windows`; does not wait."""
        while True:
            try:
                self._add(self._told.get_nowait())
            except queue.Empty:
                assert self._process.exitcode in {None, 0}, "the probe ended with an error"
                return

    def __enter__(self) -> Self:
        self._process.start()
        self._add(self._told.get(timeout=_READY_SECONDS))
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what is on its way, at most `_DRAIN_SECONDS`, and take it."""
        self._stop.set()
        give_up = time.monotonic() + _DRAIN_SECONDS + _ASK_SECONDS
        while self._process.is_alive() and time.monotonic() < give_up:
            self.take()
            self._process.join(_POLL_SECONDS)
        self.take()
        self._process.kill()
        self._process.join()

    def _add(self, counts: Counts) -> None:
        for (second, milliseconds), count in counts.items():
            window = second // WINDOW_SECONDS * WINDOW_SECONDS
            self.windows.setdefault(window, Histogram())[milliseconds] += count
            self.worst[second] = max(milliseconds, self.worst.get(second, 0))


@dataclass(slots=True)
class _Partition:
    """One partition's ledger frames that are not in the balances yet: (upto, instants).

    All records before `next` have been read.
    """

    next: int = 0
    reader: OutputReader = field(default_factory=lambda: OutputReader(decode_ledger))
    waiting: deque[tuple[Vector, pl.Series]] = field(default_factory=deque)
    last: tuple[int, int] = (-1, -1)

    def read(self, value: bytes, source: str) -> None:
        """Take in one frame; repeats are dropped as every reader drops them."""
        rows = self.reader.feed(value)
        if rows is None:
            return
        offset, row = self.last  # an event's postings may be cut into two frames
        later = (pl.col(_PLACE[0]) != offset) | (pl.col(_PLACE[1]) != row)
        of_ours = (pl.col("source") == source) & pl.col("posting").is_in(OF_LINE)
        events = rows.filter(of_ours & later).unique(_PLACE, maintain_order=True)
        if events.height:
            self.last = events.select(_PLACE).row(-1)
            instants = events.get_column("id").str.slice(0, _DIGITS).cast(pl.Int64)
            self.waiting.append((self.reader.reached, instants))

    def settle(self, reached: Vector, now: int) -> Iterator[tuple[int, int, int]]:
        """(second, milliseconds, count) of what the balances cover, `now` in microseconds."""
        while self.waiting and self.waiting[0][0] <= reached:
            _, instants = self.waiting.popleft()
            taken = {"second": instants // SECOND, "taken": (now - instants) // 1_000}
            yield from pl.DataFrame(taken).group_by("second", "taken").len().iter_rows()


def _measure(settings: Settings, source: str, told: "Queue[Counts]", stop: Event) -> None:
    """The probe's process: until `stop`, and then until all that is there by then is counted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever opened the probe says when it ends
    partitions = [_Partition() for _ in range(settings.partitions)]
    consumer, client = _consumer(settings), redis_client(settings.redis_url)
    told.put({})
    counts: Counter[tuple[int, int]] = Counter()
    tell_at = time.monotonic()
    give_up: float | None = None
    ends: list[int] | None = None
    while True:
        for message in consumer.consume(1_000, timeout=_POLL_SECONDS):
            if message.error() is None:  # librdkafka reconnects by itself
                partition = partitions[message.partition() or 0]
                partition.read(message.value() or b"", source)
                partition.next = (message.offset() or 0) + 1
        _settle(settings, client, partitions, counts)
        now = time.monotonic()
        if now - tell_at >= _TELL_SECONDS:
            told.put(dict(counts))
            tell_at = now
            counts.clear()
        if stop.is_set():
            give_up = give_up or now + _DRAIN_SECONDS
            ends = ends or _ends(settings, consumer)
            if now > give_up or _is_counted(partitions, ends):
                told.put(dict(counts))
                return


def _is_counted(partitions: list[_Partition], ends: list[int] | None) -> bool:
    if ends is None or any(partition.waiting for partition in partitions):
        return False
    return all(each.next >= end for each, end in zip(partitions, ends, strict=True))


def _ends(settings: Settings, consumer: Consumer) -> list[int] | None:
    """Where each partition of the ledger ends; None while the broker is away."""
    try:
        found = [consumer.get_watermark_offsets(each, _ASK_SECONDS) for each in _places(settings)]
    except KafkaException:
        return None
    return [each[1] for each in found] if all(found) else None


def _settle(
    settings: Settings,
    client: redis.Redis,
    partitions: list[_Partition],
    counts: Counter[tuple[int, int]],
) -> None:
    """Count what the positions in Redis cover; nothing while Redis is away."""
    numbers = [number for number, partition in enumerate(partitions) if partition.waiting]
    if not numbers:
        return
    pipeline = client.pipeline(transaction=False)
    for number in numbers:
        pipeline.get(f"{base_key(settings.key_prefix, number, STAGE)}:{FIRST_NAMESPACE}:position")
    try:
        answers = cast("list[bytes | None]", pipeline.execute())
    except redis.RedisError:
        return
    now = time.time_ns() // 1_000
    for number, answer in zip(numbers, answers, strict=True):
        if answer is None:
            continue
        offset, row, ordinal = decode_position(answer.decode()).reached
        reached = (offset, row, ordinal << ORDINAL_BITS)
        for second, milliseconds, count in partitions[number].settle(reached, now):
            counts[second, milliseconds] += count


def _consumer(settings: Settings) -> Consumer:
    """Reads the whole ledger by hand, with no group."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": "latency-probe",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.message.max.bytes": MAX_RECORD_BYTES,
            "fetch.wait.max.ms": 10,
            "log_level": 0,
        }
    )
    consumer.assign(_places(settings))
    return consumer


def _places(settings: Settings) -> list[TopicPartition]:
    """Where each partition of the ledger begins."""
    name = settings.topic_prefix + LEDGER.name
    return [TopicPartition(name, number, 0) for number in range(settings.partitions)]
