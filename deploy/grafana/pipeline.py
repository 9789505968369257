"""The dashboard Pipeline: how usage goes through the stages, and what holds it up."""

from typing import Final

from deploy.grafana.panel import (
    ENDS,
    KAFKA_ERRORS,
    LAG_SECONDS,
    LATENCY,
    RATE,
    REDIS_ERRORS,
    TICK_AGE,
    WORKERS,
    Dashboard,
    Panel,
    Query,
    Row,
    graph,
    quantile,
)


def _ended(stage: str, what: str) -> Panel:
    return graph(
        f"{stage.capitalize()}: {what}",
        f"A second, by how they ended in {stage}. What never happened is left out.",
        "cps",
        f'sum by (outcome) (rate(drawdown_events_total{{stage="{stage}"}}{RATE})) > 0',
        "{{outcome}}",
    )


_THROUGH: Final = Row(
    "Through the stages",
    (_ended("admission", "records"), _ended("rating", "lines"), _ended("balances", "postings")),
)
_BEHIND: Final = Row(
    "Behind",
    (
        graph(
            "Lag in records",
            "Records of input not committed: events for admission, frames for the others.",
            "short",
            "sum by (stage) (drawdown_lag_records)",
            "{{stage}}",
        ),
        LAG_SECONDS,
        graph(
            "Commits",
            "Positions stored, a second.",
            "cps",
            f"sum by (stage) (rate(drawdown_commits_total{RATE}))",
            "{{stage}}",
        ),
    ),
)
_LATENCIES: Final = Row(
    "Latency",
    (
        LATENCY,
        Panel(
            "Record to balance, all",
            "How many lines took how long.",
            "s",
            (Query(f"sum by (le) (increase(drawdown_latency_seconds_bucket{RATE}))", "{{le}}"),),
            "heatmap",
        ),
        TICK_AGE,
    ),
)
_BATCHES: Final = Row(
    "Batches",
    (
        graph(
            "Batch size",
            "Rows of a batch, the 95th percentile.",
            "short",
            quantile("0.95", "drawdown_batch_rows", "stage"),
            "{{stage}}",
            width=6,
        ),
        graph(
            "Batch duration",
            "Seconds to process a batch, the 95th percentile.",
            "s",
            quantile("0.95", "drawdown_batch_seconds", "stage"),
            "{{stage}}",
            width=6,
        ),
        graph(
            "Time by step",
            "Share of a second spent waiting for claims, folding, committing.",
            "percentunit",
            f"sum by (stage, step) (rate(drawdown_step_seconds_total{RATE}))",
            "{{stage}} {{step}}",
            width=6,
        ),
        graph(
            "Frames",
            "Frames written, a second.",
            "cps",
            f"sum by (stage) (rate(drawdown_frames_total{RATE}))",
            "{{stage}}",
            width=6,
        ),
    ),
)
_CLAIMS: Final = Row(
    "Claims and Redis",
    (
        graph(
            "Keys looked up",
            "Idempotency keys claimed or found, a second.",
            "cps",
            f"sum(rate(drawdown_claimed_keys_total{RATE}))",
            "keys",
            width=6,
        ),
        graph(
            "Keys remembered",
            "Idempotency keys in Redis, by partition.",
            "short",
            "drawdown_claims_keys",
            "partition {{partition}}",
            width=6,
        ),
        graph(
            "Memory of claims",
            "Bytes of Redis that the claims take, estimated from a sample of buckets.",
            "bytes",
            "drawdown_claims_memory_bytes",
            "partition {{partition}}",
            width=6,
        ),
        Panel(
            "Memory of Redis",
            "Used, and the limit (0: none). Redis never evicts: at the limit it refuses.",
            "bytes",
            (
                Query("max(drawdown_redis_memory_used_bytes)", "used"),
                Query("max(drawdown_redis_memory_limit_bytes)", "limit"),
            ),
            width=6,
        ),
    ),
)
_PROCESSES: Final = Row(
    "Servers and processes",
    (
        REDIS_ERRORS,
        KAFKA_ERRORS,
        ENDS,
        graph(
            "CPU",
            "Cores that each process uses.",
            "short",
            f"rate(process_cpu_seconds_total{{{WORKERS}}}{RATE})",
            "{{instance}}",
        ),
        graph(
            "Memory",
            "Resident bytes of each process.",
            "bytes",
            f"process_resident_memory_bytes{{{WORKERS}}}",
            "{{instance}}",
        ),
        graph(
            "Running",
            "Processes that the supervisor runs.",
            "short",
            "sum by (worker) (drawdown_running_workers)",
            "{{worker}}",
        ),
    ),
)
_GATEWAY: Final = Row(
    "Gateway",
    (
        graph(
            "Requests",
            "A second, by status.",
            "reqps",
            f"sum by (status) (rate(drawdown_gateway_requests_total{RATE}))",
            "{{status}}",
            width=6,
        ),
        graph(
            "Answer time",
            "Seconds from a request to its answer, the 99th percentile.",
            "s",
            quantile("0.99", "drawdown_gateway_request_seconds", "route"),
            "{{route}}",
            width=6,
        ),
        graph(
            "Events posted",
            "A second, by outcome. What never happened is left out.",
            "cps",
            f"sum by (outcome) (rate(drawdown_gateway_events_total{RATE})) > 0",
            "{{outcome}}",
            width=6,
        ),
        graph(
            "Not confirmed",
            "Events that Kafka has not confirmed yet.",
            "short",
            "sum(drawdown_gateway_pending_events)",
            "events",
            width=6,
        ),
    ),
)
_SERVICES: Final = Row(
    "API and webhooks",
    (
        graph(
            "API requests",
            "A second, by status.",
            "reqps",
            f"sum by (status) (rate(drawdown_api_requests_total{RATE}))",
            "{{status}}",
            width=6,
        ),
        graph(
            "API answer time",
            "Server seconds, the 99th percentile of a route.",
            "s",
            quantile("0.99", "drawdown_api_request_seconds", "route"),
            "{{route}}",
            width=6,
        ),
        graph(
            "Holds",
            "Placed, captured and released a second, by outcome.",
            "cps",
            f"sum by (kind, outcome) (rate(drawdown_api_commands_total{RATE}))",
            "{{kind}} {{outcome}}",
            width=6,
        ),
        graph(
            "Waiting for rows",
            "API requests that wait until rows hold a write or a decision.",
            "short",
            "sum(drawdown_api_waiting_requests)",
            "requests",
            width=6,
        ),
        graph(
            "Webhooks",
            "Deliveries a second, by what became of them.",
            "cps",
            f"sum by (outcome) (rate(drawdown_webhook_deliveries_total{RATE}))",
            "{{outcome}}",
            width=6,
        ),
        graph(
            "Attempts",
            "A second, by the receiver's answer.",
            "cps",
            f"sum by (answer) (rate(drawdown_webhook_attempts_total{RATE}))",
            "{{answer}}",
            width=6,
        ),
        Panel(
            "Webhook times",
            "Seconds of an attempt, and from the log to a receiver's 2xx: 99th percentiles.",
            "s",
            (
                Query(
                    quantile("0.99", "drawdown_webhook_attempt_seconds", "stage"),
                    "attempt",
                ),
                Query(
                    quantile("0.99", "drawdown_webhook_delivery_seconds", "stage"),
                    "delivery",
                ),
            ),
            width=6,
        ),
        Panel(
            "Waiting, dead, disabled",
            "Deliveries that wait, dead letters of the last hour, subscriptions that are disabled.",
            "short",
            (
                Query("max(drawdown_webhook_waiting_deliveries)", "waiting"),
                Query("sum(increase(drawdown_webhook_dead_letters_total[1h]))", "dead"),
                Query("max(drawdown_webhook_disabled_subscriptions)", "disabled"),
            ),
            width=6,
        ),
    ),
)

PIPELINE: Final = Dashboard(
    "drawdown-pipeline",
    "pipeline",
    "Drawdown / Pipeline",
    "How usage goes through the stages, and what holds it up.",
    (_THROUGH, _BEHIND, _LATENCIES, _BATCHES, _CLAIMS, _PROCESSES, _GATEWAY, _SERVICES),
)
