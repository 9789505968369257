"""The dashboard On call: is anything wrong, and where. Red is where an alert fires."""

from typing import Final

from deploy.grafana.panel import (
    ENDS,
    KAFKA_ERRORS,
    LAG_SECONDS,
    LATENCY,
    REDIS_ERRORS,
    TICK_AGE,
    WORKERS,
    Dashboard,
    Panel,
    Query,
    Row,
    graph,
    quantile,
    stat,
)

_NOW: Final = Row(
    "Now",
    (
        stat(
            "Alerts that fire",
            "Of Drawdown's alerting rules.",
            "short",
            'count(ALERTS{alertname=~"Drawdown.*", alertstate="firing"}) or vector(0)',
            alarm=1,
        ),
        stat(
            "Processes down",
            "Targets that do not answer a scrape.",
            "short",
            f"count(up{{{WORKERS}}} == 0) or vector(0)",
            alarm=1,
        ),
        stat(
            "Longest lag",
            "Age of the oldest event that some stage has not committed.",
            "s",
            "max(drawdown_lag_seconds)",
            warn=15,
            alarm=60,
        ),
        stat(
            "p99 to balance",
            "Seconds from receipt to the commit of the balance.",
            "s",
            quantile("0.99", "drawdown_latency_seconds"),
            alarm=5,
        ),
        stat(
            "Oldest tick",
            "Expiry and rollover wait for ticks.",
            "s",
            "max(time() - max by (partition) (drawdown_tick_timestamp_seconds))",
            alarm=120,
        ),
        stat(
            "Redis memory",
            "Share of maxmemory; 0 where there is no limit.",
            "percentunit",
            "max(drawdown_redis_memory_used_bytes / (drawdown_redis_memory_limit_bytes > 0))"
            " or vector(0)",
            warn=0.7,
            alarm=0.85,
        ),
    ),
)
_PROGRESS: Final = Row(
    "Progress",
    (
        LAG_SECONDS,
        graph(
            "Lag by partition",
            "Records not committed. One partition alone: a large account, or a stuck one.",
            "short",
            "sum by (stage, partition) (drawdown_lag_records)",
            "{{stage}} {{partition}}",
        ),
        LATENCY,
        TICK_AGE,
        Panel(
            "Refused and unrated",
            "Share of usage that is refused (repeats apart), and that has no price.",
            "percentunit",
            (
                Query("drawdown:refused_events:ratio15m", "refused"),
                Query("drawdown:unrated_events:ratio15m", "unrated"),
            ),
            warn=0.01,
            alarm=0.05,
        ),
        ENDS,
    ),
)
_SERVERS: Final = Row(
    "Servers",
    (
        REDIS_ERRORS,
        KAFKA_ERRORS,
        graph(
            "Bytes of a claim",
            "Of Redis; 40 are planned where keys_per_generation fits.",
            "bytes",
            "drawdown:claims_bytes_per_key:ratio",
            "bytes",
            alarm=64,
        ),
    ),
)

ON_CALL: Final = Dashboard(
    "drawdown-on-call",
    "on-call",
    "Drawdown / On call",
    "Is anything wrong, and where. Red is where an alert fires; deploy/README.md says what to do.",
    (_NOW, _PROGRESS, _SERVERS),
)
