"""Counting what goes wrong with Redis and Kafka, wherever a process meets it.

A process is one stage and says so once (`count_as`), so that a client library's callback, which
knows no stage, can count too. Commands, which nobody scrapes, count nothing.
"""

import logging
import math
import time
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import KafkaError
from redis import exceptions as redis_errors

from projections import metrics
from schemas.errors import LogUnavailable

logger = logging.getLogger("drawdown")
_QUIET_SECONDS: Final = 30.0
"""A client away from its broker tells of it 20 times a second: one line of a kind has to do."""

_REDIS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (redis_errors.BusyLoadingError, "loading"),
    (redis_errors.ReadOnlyError, "read_only"),
    (redis_errors.OutOfMemoryError, "out_of_memory"),
    (redis_errors.TimeoutError, "timeout"),
    (TimeoutError, "timeout"),
    (redis_errors.ConnectionError, "connection"),
    (OSError, "connection"),
)
_KAFKA: Final = {
    KafkaError._TRANSPORT: "transport",  # noqa: SLF001 - the client's names for them
    KafkaError._RESOLVE: "transport",  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN: "all_brokers_down",  # noqa: SLF001
    KafkaError._TIMED_OUT: "timed_out",  # noqa: SLF001
    KafkaError._TIMED_OUT_QUEUE: "timed_out",  # noqa: SLF001
    KafkaError.REQUEST_TIMED_OUT: "timed_out",
}


@dataclass(slots=True)
class Repeats:
    """What keeps happening, by its kind: when it was told last, and how often it was not since."""

    seconds: float
    _told: dict[int, tuple[float, int]] = field(default_factory=dict)

    def kept_back(self, kind: int, now: float) -> int | None:
        """None to keep this one back too; else how many were, since one of its kind was told.

        `now` is in seconds, of a clock that never goes back.
        """
        told, count = self._told.get(kind, (-math.inf, 0))
        if now < told + self.seconds:
            self._told[kind] = told, count + 1
            return None
        self._told[kind] = now, 0
        return count


class _Process:
    stage: str | None = None
    repeats = Repeats(_QUIET_SECONDS)


def count_as(stage: str) -> None:
    """What this process meets from now on counts as that stage's."""
    _Process.stage = stage


def failed(error: BaseException) -> None:
    """A call of Redis or Kafka failed: Redis' own error, or one of ours that holds its cause."""
    stage = _Process.stage
    if stage is None:
        return
    if isinstance(error, LogUnavailable):
        metrics.KAFKA_ERRORS.labels(stage, "unavailable").inc()
    else:
        metrics.REDIS_ERRORS.labels(stage, redis_reason(error.__cause__ or error)).inc()


def redis_reason(error: BaseException) -> str:
    """One of `series.REDIS_REASONS`."""
    return next((reason for kind, reason in _REDIS if isinstance(error, kind)), "other")


def kafka_met(error: KafkaError) -> None:
    """A client's `error_cb`: it told of an error by itself, and goes on."""
    kept_back = _Process.repeats.kept_back(error.code(), time.monotonic())
    if kept_back is not None:
        more = f"; {kept_back} more of its kind since the last line" if kept_back else ""
        logger.warning("Kafka client: %s%s", error.str(), more)
    if _Process.stage is not None:
        metrics.KAFKA_ERRORS.labels(_Process.stage, kafka_reason(error)).inc()


def kafka_reason(error: KafkaError) -> str:
    """One of `series.KAFKA_REASONS`."""
    return _KAFKA.get(error.code(), "other")
