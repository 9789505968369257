"""How far a stage is behind, partition by partition: in records, and in seconds of event age.

Measured from outside: positions as committed against the log, by a client of its own, in the
watchdog's thread. So what hangs in a stage's client, or was never fetched, counts too. The age is
that of the oldest event not committed, since its receipt; where nothing is to be read, it is 0.
"""

import time
from collections.abc import Callable, Mapping

import polars as pl

from projections import metrics
from projections.fold.log import Log, Read
from projections.metrics.series import Owned
from schemas.errors import FrameError, ReleaseError
from schemas.topics import Topic

Received = Callable[[bytes], pl.Series | None]
"""When the events of a record's value were received, microseconds; None or empty: not said."""


class LagMeter:
    """Tells the lag of one stage's partitions, and of no others. For one thread."""

    def __init__(self, log: Log, stage: str, topic: Topic, received: Received) -> None:
        self._log, self._stage, self._topic, self._received = log, stage, topic, received
        self._owned = Owned(stage)

    def measure(self, reached: Mapping[int, int]) -> int:
        """Records of lag over all partitions, by the offset that each has committed.

        Raises LogUnavailable when the ends are not told. An age that cannot be read stays as it
        was: the watchdog must not take a slow reader for a stage that stands still.
        """
        numbers = list(reached)
        self._owned.only(numbers)
        ends = self._log.ends(self._topic.name, numbers)
        behind = {number: max(0, ends[number] - at) for number, at in reached.items()}
        for number, records in behind.items():
            metrics.LAG_RECORDS.labels(self._stage, number).set(records)
            if not records:
                metrics.LAG_SECONDS.labels(self._stage, number).set(0)
        waiting = {number: reached[number] for number, records in behind.items() if records}
        found = self._log.first(self._topic.name, waiting)
        now = time.time_ns() // 1_000
        for number, record in found.items():
            seconds = age(received_at(record, self._received), now)
            metrics.LAG_SECONDS.labels(self._stage, number).set(seconds)
        return sum(behind.values())


def received_at(record: Read, received: Received) -> int:
    """When the oldest event of a record was received, microseconds.

    Where the record does not say (a frame without rows, bytes that are no frame), it is when the
    record itself was written.
    """
    _, milliseconds, value, _, _ = record
    try:
        stamps = received(value)
    except (FrameError, ReleaseError):  # the fold says so, and ends
        stamps = None
    oldest = None if stamps is None else stamps.min()
    return milliseconds * 1_000 if oldest is None else int(oldest)  # type: ignore[arg-type]


def age(received: int, now: int) -> float:
    """Seconds from `received` to `now`, microseconds; a clock that is ahead makes it 0."""
    return max(0, now - received) / 1_000_000
