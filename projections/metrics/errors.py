"""Counting what goes wrong with Redis and Kafka, wherever a process meets it.

A process is one stage and says so once (`count_as`), so that a client library's callback, which
knows no stage, can count too. Commands, which nobody scrapes, count nothing.
"""

import logging
from typing import Final

from confluent_kafka import KafkaError
from redis import exceptions as redis_errors

from projections import metrics
from schemas.errors import LogUnavailable

logger = logging.getLogger("drawdown")

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


class _Process:
    stage: str | None = None


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
    logger.warning("Kafka client: %s", error)
    if _Process.stage is not None:
        metrics.KAFKA_ERRORS.labels(_Process.stage, kafka_reason(error)).inc()


def kafka_reason(error: KafkaError) -> str:
    """One of `series.KAFKA_REASONS`."""
    return _KAFKA.get(error.code(), "other")
