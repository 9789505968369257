"""What the API counts. No account, hold or key stands in a label."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter(
    "drawdown_api_requests_total", "Requests, by route and status.", ["route", "status"]
)
SECONDS: Final = Histogram(
    "drawdown_api_request_seconds",
    "Server time: from the request's head to the head of its answer.",
    ["route"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WAITING: Final = Gauge("drawdown_api_waiting", "Requests that wait for rows.")
COMMANDS: Final = Counter(
    "drawdown_api_commands_total",
    "Holds, captures and releases: applied, unknown, or a reason code.",
    ["kind", "outcome"],
)
