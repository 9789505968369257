"""What a dashboard is made of, and the panels that more than one shows. No layout here.

Every query returns data on a healthy pipeline that has usage: what counts failures has its series
from the start (`projections.metrics.series`), or says 0 itself.
"""

from dataclasses import dataclass
from typing import Final, Literal

WORKERS: Final = 'job=~"drawdown.*"'
RATE: Final = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how its series are called: text with `{{label}}`."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `unit` is Grafana's name of it; from `warn` on it is yellow, from `alarm` on red.

    `width` is in 24ths.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat", "heatmap"] = "timeseries"
    width: int = 8
    warn: float | None = None
    alarm: float | None = None
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`uid` never changes: links and bookmarks hold it. `name` is its file's."""

    uid: str
    name: str
    title: str
    description: str
    rows: tuple[Row, ...]


def graph(
    title: str,
    description: str,
    unit: str,
    expr: str,
    legend: str,
    *,
    width: int = 8,
    warn: float | None = None,
    alarm: float | None = None,
) -> Panel:
    """One query over time."""
    queries = (Query(expr, legend),)
    return Panel(title, description, unit, queries, width=width, warn=warn, alarm=alarm)


def stat(
    title: str,
    description: str,
    unit: str,
    expr: str,
    *,
    width: int = 4,
    warn: float | None = None,
    alarm: float | None = None,
) -> Panel:
    """One figure, as it is now."""
    queries = (Query(expr, title),)
    return Panel(title, description, unit, queries, "stat", width, warn, alarm)


def quantile(of: str, histogram: str, by: str = "") -> str:
    """The quantile `of` a histogram, `by` a label."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({of}, sum by ({labels}) (rate({histogram}_bucket{RATE})))"


LATENCY: Final = Panel(
    "Record to balance",
    "Seconds from an event's receipt to the commit of its balance. Dots are exemplars: partition,"
    " offset and row in the journal of the slowest line of a batch.",
    "s",
    tuple(
        Query(quantile(of, "drawdown_latency_seconds"), name)
        for of, name in (("0.5", "p50"), ("0.99", "p99"), ("0.999", "p99.9"))
    ),
    alarm=5,
    exemplars=True,
)
LAG_SECONDS: Final = graph(
    "Lag in event age",
    "Age of the oldest event that a stage has not committed; 0 when it has read everything.",
    "s",
    "max by (stage) (drawdown_lag_seconds)",
    "{{stage}}",
    warn=15,
    alarm=60,
)
TICK_AGE: Final = graph(
    "Tick age",
    "How old the last tick is that balances have folded, by partition. Expiry and rollover wait for"
    " ticks; idle partitions have one each 15 seconds.",
    "s",
    "time() - max by (partition) (drawdown_tick_timestamp_seconds)",
    "partition {{partition}}",
    alarm=120,
)
REDIS_ERRORS: Final = graph(
    "Redis errors",
    "Calls of Redis that failed and are tried again, in 5 minutes.",
    "short",
    "sum by (stage) (increase(drawdown_redis_errors_total[5m]))",
    "{{stage}}",
    alarm=10,
)
KAFKA_ERRORS: Final = graph(
    "Kafka errors",
    "Errors that clients of Kafka met, in 5 minutes.",
    "short",
    "sum by (stage) (increase(drawdown_kafka_errors_total[5m]))",
    "{{stage}}",
    alarm=10,
)
ENDS: Final = graph(
    "Ends of workers",
    "Workers that ended by themselves or, where a supervisor sees it, were killed; by reason, in an"
    " hour. `fenced` is a commit lost to another writer.",
    "short",
    "sum by (reason) (max by (worker, reason) (increase(drawdown_worker_ends_total[1h])))",
    "{{reason}}",
)
