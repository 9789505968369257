"""Every metric of the pipeline, declared in one place: name, labels and meaning.

Prometheus naming; no account in a label. `stage` is admission, rating or balances.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ROWS: Final = (1, 10, 100, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)

EVENTS: Final = Counter(
    "drawdown_events_total",
    "Records by how they ended: accepted, forwarded, line, document, tick, or a reason code.",
    ("stage", "outcome"),
)
BATCH_ROWS: Final = Histogram(
    "drawdown_batch_rows", "Rows of one batch.", ("stage",), buckets=_ROWS
)
BATCH_SECONDS: Final = Histogram(
    "drawdown_batch_seconds",
    "Time to process one batch, without waiting for deliveries.",
    ("stage",),
    buckets=_SECONDS,
)
STEP_SECONDS: Final = Counter(
    "drawdown_step_seconds_total",
    "Time spent in a step of a stage: decode, claim, encode, fold, send, commit.",
    ("stage", "step"),
)
EVENT_AGE_SECONDS: Final = Gauge(
    "drawdown_event_age_seconds",
    "Age of the newest record processed: now minus its time of receipt.",
    ("stage", "partition"),
)
FRAMES: Final = Counter("drawdown_frames_total", "Frames written.", ("stage",))
LAG_RECORDS: Final = Gauge(
    "drawdown_lag_records", "Records of input not yet processed.", ("stage", "partition")
)
CLAIMED_KEYS: Final = Counter("drawdown_claimed_keys_total", "Idempotency keys looked up in Redis.")
COMMITS: Final = Counter("drawdown_commits_total", "Commits of rows and position.", ("stage",))
ALERTS: Final = Counter("drawdown_alerts_total", "Alerts emitted, by type.", ("type",))
WEBHOOKS: Final = Counter(
    "drawdown_webhooks_total",
    "Deliveries by what became of them: taken, delivered, retry, dead, gone, skipped (disabled).",
    ("outcome",),
)
WEBHOOK_ATTEMPTS: Final = Counter(
    "drawdown_webhook_attempts_total",
    "Attempts by answer: 2xx … 5xx, timeout, connection, tls, refused (by the address policy).",
    ("answer",),
)
WEBHOOK_ATTEMPT_SECONDS: Final = Histogram(
    "drawdown_webhook_attempt_seconds",
    "From an attempt's start to its answer.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0),
)
WEBHOOK_DELIVERY_SECONDS: Final = Histogram(
    "drawdown_webhook_delivery_seconds",
    "From the alert in the log to a receiver's 2xx.",
    buckets=(0.1, 0.5, 1, 5, 30, 300, 1_800, 7_200, 36_000, 86_400, 345_600),
)
WEBHOOK_DEAD_LETTERS: Final = Counter(
    "drawdown_webhook_dead_letters_total",
    "Dead letters by cause: exhausted, overflow, too_large, invalid.",
    ("cause",),
)
WEBHOOKS_WAITING: Final = Gauge(
    "drawdown_webhooks_waiting", "Deliveries that wait, of all subscriptions."
)
WEBHOOKS_DISABLED: Final = Gauge("drawdown_webhooks_disabled", "Subscriptions that are disabled.")
