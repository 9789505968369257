"""What the gateway counts. No account, source or key stands in a label."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter(
    "drawdown_gateway_requests_total", "Requests, by route and status", ["route", "status"]
)
EVENTS: Final = Counter(
    "drawdown_gateway_events_total", "Events posted: accepted, or a reason code", ["outcome"]
)
SECONDS: Final = Histogram(
    "drawdown_gateway_request_seconds",
    "From the request's head to its answer",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
PENDING: Final = Gauge("drawdown_gateway_pending_events", "Events that Kafka has not confirmed yet")
