"""Every metric of Drawdown, declared in one place: name, labels, meaning and unit.

It lies in `projections` because that is the lowest room that may do I/O, and everything above
(stages, gateway, supervisor, exporter) may import it. Stages observe through it by the batch, never
by the event. Names are Prometheus': `drawdown_<thing>_<unit>`, base units, counters end in
`_total`. No account stands in a label; every label's values are few and known, or bounded
(`projections.metrics.series`).

A sample is a float, the one place where credits and money are: the ledger is the truth. Counters
begin at 0 with each process. What must survive a restart is computed from rows, by the exporter.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from projections.metrics.batched import BatchHistogram

# When a series began would be a series more for each; a scraper sees resets by the values.
disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ROWS: Final = (1, 10, 100, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
_REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LATENCY_SECONDS: Final = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60, 300, 1800)

# Every process.
BUILD: Final = Gauge(
    "drawdown_build_info", "Always 1, for the release that a process runs.", ("stage", "version")
)

# Every stage: admission, rating, balances.
EVENTS: Final = Counter(
    "drawdown_events_total",
    "Records, lines and postings by how they ended: accepted, line, consumed … or a reason code.",
    ("stage", "outcome"),
)
BATCH_ROWS: Final = Histogram(
    "drawdown_batch_rows", "Rows of one batch.", ("stage",), buckets=_ROWS
)
BATCH_SECONDS: Final = Histogram(
    "drawdown_batch_seconds",
    "Seconds to process one batch, without waiting for deliveries.",
    ("stage",),
    buckets=_SECONDS,
)
STEP_SECONDS: Final = Counter(
    "drawdown_step_seconds_total",
    "Seconds spent in a step of a stage: claim, fold, commit.",
    ("stage", "step"),
)
FRAMES: Final = Counter("drawdown_frames_total", "Frames written.", ("stage",))
COMMITS: Final = Counter(
    "drawdown_commits_total", "Commits of a position that Redis has stored.", ("stage",)
)
LAG_RECORDS: Final = Gauge(
    "drawdown_lag_records",
    "Records of a stage's input that it has not committed.",
    ("stage", "partition"),
)
LAG_SECONDS: Final = Gauge(
    "drawdown_lag_seconds",
    "Age in seconds, since its receipt, of the oldest event not committed; 0 when there is none.",
    ("stage", "partition"),
)
REDIS_ERRORS: Final = Counter(
    "drawdown_redis_errors_total",
    "Calls of Redis that failed and are tried again, by what was wrong.",
    ("stage", "reason"),
)
KAFKA_ERRORS: Final = Counter(
    "drawdown_kafka_errors_total",
    "Errors that clients of Kafka met, by what was wrong; the clients go on trying.",
    ("stage", "reason"),
)

# Admission.
CLAIMED_KEYS: Final = Counter(
    "drawdown_claimed_keys_total", "Idempotency keys looked up in Redis.", ("stage",)
)
CLAIMS_KEYS: Final = Gauge(
    "drawdown_claims_keys", "Idempotency keys that Redis remembers.", ("partition",)
)
CLAIMS_BYTES: Final = Gauge(
    "drawdown_claims_memory_bytes",
    "Bytes of Redis that the claims take, estimated from a sample of their buckets.",
    ("partition",),
)
REDIS_USED_BYTES: Final = Gauge(
    "drawdown_redis_memory_used_bytes", "Bytes of memory that Redis uses.", ("stage",)
)
REDIS_LIMIT_BYTES: Final = Gauge(
    "drawdown_redis_memory_limit_bytes", "Redis' maxmemory in bytes; 0 when unlimited.", ("stage",)
)

# Balances.
LATENCY: Final = BatchHistogram(
    "drawdown_latency_seconds",
    "Seconds from an event's receipt (journal time) to the commit of its balance, by line.",
    LATENCY_SECONDS,
)
TICK_TIMESTAMP: Final = Gauge(
    "drawdown_tick_timestamp_seconds",
    "Journal time of the last tick that balances have folded, in seconds since the epoch.",
    ("partition",),
)
ALERTS: Final = Counter("drawdown_alerts_total", "Alerts emitted, by type.", ("type",))
CONSUMED_CREDITS: Final = Counter(
    "drawdown_consumed_credits_total",
    "Credits drawn, by product and by posting: consumed, reopened, overage.",
    ("product", "posting"),
)
RETURNED_CREDITS: Final = Counter(
    "drawdown_returned_credits_total",
    "Credits that lines gave back, by product and posting: voids, late events that lower a tier.",
    ("product", "posting"),
)

# The exporter: from rows, each some minutes.
ACCOUNTS: Final = Gauge("drawdown_accounts", "Accounts.", ("partition",))
LOW_ACCOUNTS: Final = Gauge(
    "drawdown_low_accounts", "Accounts beyond a threshold of an alert rule.", ("partition",)
)
DEPLETED_ACCOUNTS: Final = Gauge(
    "drawdown_depleted_accounts",
    "Accounts that have been issued credits, of which none are available.",
    ("partition",),
)
OVERDRAWN_ACCOUNTS: Final = Gauge(
    "drawdown_overdrawn_accounts", "Accounts with unsettled overage.", ("partition",)
)
AVAILABLE_CREDITS: Final = Gauge(
    "drawdown_available_credits", "Credits remaining in active grants.", ("partition",)
)
OVERAGE_CREDITS: Final = Gauge(
    "drawdown_unsettled_overage_credits", "Credits of overage not settled yet.", ("partition",)
)
EXPIRING_GRANTS: Final = Gauge(
    "drawdown_expiring_grants",
    "Active grants with credits left that expire within 7 days.",
    ("partition",),
)
EXPIRING_CREDITS: Final = Gauge(
    "drawdown_expiring_credits",
    "Credits left in the grants that expire within 7 days.",
    ("partition",),
)
COST_BASIS: Final = Gauge(
    "drawdown_cost_basis_money",
    "What was paid for credits, in units of the currency: consumed (revenue), remaining"
    " (deferred), expired (breakage).",
    ("partition", "currency", "part"),
)
SCAN_TIMESTAMP: Final = Gauge(
    "drawdown_scan_timestamp_seconds",
    "When the exporter last finished reading a partition's rows, in seconds since the epoch.",
    ("partition",),
)
SCAN_SECONDS: Final = Gauge(
    "drawdown_scan_seconds", "Seconds that the last reading of the rows took.", ("partition",)
)

# What a worker that has ended can no longer say: its supervisor sees it, and the exporter tells
# what it left in Redis. Both may tell of one end: of the two, take the larger.
RUNNING_WORKERS: Final = Gauge(
    "drawdown_running_workers", "Supervised processes that run.", ("worker",)
)
WORKER_ENDS: Final = Counter(
    "drawdown_worker_ends_total",
    "Ends of workers by reason; each `fenced` is one commit lost to another writer.",
    ("worker", "reason"),
)

# The gateway.
GATEWAY_REQUESTS: Final = Counter(
    "drawdown_gateway_requests_total", "Requests, by route and status.", ("route", "status")
)
GATEWAY_EVENTS: Final = Counter(
    "drawdown_gateway_events_total", "Events posted: accepted, or a reason code.", ("outcome",)
)
GATEWAY_SECONDS: Final = Histogram(
    "drawdown_gateway_request_seconds",
    "Seconds from the request's head to its answer.",
    ("route",),
    buckets=_REQUEST_SECONDS,
)
GATEWAY_PENDING: Final = Gauge(
    "drawdown_gateway_pending_events", "Events that Kafka has not confirmed yet.", ("stage",)
)

# The API.
API_REQUESTS: Final = Counter(
    "drawdown_api_requests_total", "Requests, by route and status.", ("route", "status")
)
API_SECONDS: Final = Histogram(
    "drawdown_api_request_seconds",
    "Server time in seconds: from the request's head to the head of its answer.",
    ("route",),
    buckets=(0.0005, 0.001, 0.0025, *_REQUEST_SECONDS),
)
API_WAITING: Final = Gauge(
    "drawdown_api_waiting_requests", "Requests that wait for rows.", ("stage",)
)
API_COMMANDS: Final = Counter(
    "drawdown_api_commands_total",
    "Holds, captures and releases: applied, unknown, or a reason code.",
    ("kind", "outcome"),
)

# The delivery of alerts.
WEBHOOKS: Final = Counter(
    "drawdown_webhook_deliveries_total",
    "Deliveries by what became of them: taken, delivered, retry, dead, gone, skipped (disabled),"
    " unwanted (by the filters of now).",
    ("outcome",),
)
WEBHOOK_ATTEMPTS: Final = Counter(
    "drawdown_webhook_attempts_total",
    "Attempts by answer: 2xx … 5xx, timeout, connection, tls, refused (by the address policy).",
    ("answer",),
)
WEBHOOK_ATTEMPT_SECONDS: Final = Histogram(
    "drawdown_webhook_attempt_seconds",
    "Seconds from an attempt's start to its answer.",
    ("stage",),
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0),
)
WEBHOOK_DELIVERY_SECONDS: Final = Histogram(
    "drawdown_webhook_delivery_seconds",
    "Seconds from the alert in the log to a receiver's 2xx.",
    ("stage",),
    buckets=(0.1, 0.5, 1, 5, 30, 300, 1_800, 7_200, 36_000, 86_400, 345_600),
)
WEBHOOK_DEAD_LETTERS: Final = Counter(
    "drawdown_webhook_dead_letters_total",
    "Dead letters by cause: exhausted, overflow, too_large, invalid.",
    ("cause",),
)
WEBHOOKS_WAITING: Final = Gauge(
    "drawdown_webhook_waiting_deliveries",
    "Deliveries that wait, of all subscriptions.",
    ("stage",),
)
WEBHOOKS_DISABLED: Final = Gauge(
    "drawdown_webhook_disabled_subscriptions", "Subscriptions that are disabled.", ("stage",)
)
