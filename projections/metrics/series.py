"""Which series there are: known ones from the start, at zero; of what is gone, none; and no more.

A counter that appears with its first increment hides that increment from `rate`, and a query that
finds nothing cannot say "none". A gauge of a partition that another worker has now would be told
twice.
"""

from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Final

from projections import metrics
from schemas.reasons import Reason

MOST_PRODUCTS: Final = 100
OTHER: Final = "other"
"""Stands for every product beyond the first `MOST_PRODUCTS` that a process meets."""

REDIS_REASONS: Final = ("connection", "timeout", "loading", "read_only", "out_of_memory", "other")
KAFKA_REASONS: Final = ("transport", "all_brokers_down", "timed_out", "unavailable", "other")
REASONS: Final = tuple(str(reason) for reason in Reason)


def begin(stage: str, outcomes: Iterable[str] = (), steps: Iterable[str] = ()) -> None:
    """Show the series of `stage` at zero, and the release that runs.

    `outcomes` are its own; any reason code may be another. A process without a stage's
    batches (the gateway) gives neither, and has only its errors.
    """
    metrics.BUILD.labels(stage, version("drawdown")).set(1)
    for reason in REDIS_REASONS:
        metrics.REDIS_ERRORS.labels(stage, reason)
    for reason in KAFKA_REASONS:
        metrics.KAFKA_ERRORS.labels(stage, reason)
    steps = tuple(steps)
    for step in steps:
        metrics.STEP_SECONDS.labels(stage, step)
    if steps:
        for outcome in (*outcomes, *REASONS):
            metrics.EVENTS.labels(stage, outcome)
        for metric in (metrics.FRAMES, metrics.COMMITS, metrics.BATCH_ROWS, metrics.BATCH_SECONDS):
            metric.labels(stage)


def begin_gateway(stage: str, routes: Mapping[str, int]) -> None:
    """Show what the gateway counts, at zero: its routes, each with the status when all is well."""
    begin(stage)
    metrics.GATEWAY_PENDING.labels(stage)
    for outcome in ("accepted", *REASONS):
        metrics.GATEWAY_EVENTS.labels(outcome)
    for route, taken in routes.items():
        metrics.GATEWAY_SECONDS.labels(route)
        for status in (taken, HTTPStatus.SERVICE_UNAVAILABLE):
            metrics.GATEWAY_REQUESTS.labels(route, str(int(status)))


def begin_api(stage: str, routes: Iterable[str], kinds: Iterable[str]) -> None:
    """Show what the API counts, at zero: its routes, and the kinds of commands on holds."""
    begin(stage)
    metrics.API_WAITING.labels(stage)
    for route in routes:
        metrics.API_SECONDS.labels(route)
        for status in ("500", "503"):
            metrics.API_REQUESTS.labels(route, status)
    for kind in kinds:
        for outcome in ("applied", "unknown"):
            metrics.API_COMMANDS.labels(kind, outcome)


def begin_webhooks(stage: str) -> None:
    """Show what the delivery of alerts counts, at zero."""
    begin(stage)
    metrics.COMMITS.labels(stage)
    for metric in (metrics.WEBHOOK_ATTEMPT_SECONDS, metrics.WEBHOOK_DELIVERY_SECONDS):
        metric.labels(stage)
    for outcome in ("taken", "delivered", "retry", "dead", "gone", "skipped", "unwanted"):
        metrics.WEBHOOKS.labels(outcome)
    for answer in ("2xx", "3xx", "4xx", "5xx", "timeout", "connection", "tls", "refused"):
        metrics.WEBHOOK_ATTEMPTS.labels(answer)
    for cause in ("exhausted", "overflow", "too_large", "invalid"):
        metrics.WEBHOOK_DEAD_LETTERS.labels(cause)


class Owned:
    """The gauges of the partitions that a worker of `stage` owns; of others it says nothing."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._shown: set[int] = set()

    def only(self, partitions: Collection[int]) -> None:
        """Drop what was told of any other partition."""
        for number in self._shown.difference(partitions):
            for gauge in (metrics.LAG_RECORDS, metrics.LAG_SECONDS):
                gauge.remove(self._stage, number)
            if self._stage == "balances":
                metrics.TICK_TIMESTAMP.remove(number)
        self._shown = set(partitions)


class Bounded:
    """Label values that customers choose: the first `most`, and one for all others."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def name(self, value: str) -> str:
        """The label's value for `value`."""
        if value not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(value)
        return value


PRODUCTS: Final = Bounded(MOST_PRODUCTS)
