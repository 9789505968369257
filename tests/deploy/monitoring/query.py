"""Asking Prometheus what a panel asks: Grafana's own variables replaced, as Grafana would."""

import json
import urllib.parse
import urllib.request
from typing import Any

_TIMEOUT_SECONDS = 60


def expression(expr: str, rate_interval: str) -> str:
    """PromQL of a panel's query."""
    return expr.replace("$__rate_interval", rate_interval)


def ask(address: str, path: str, **parameters: str) -> Any:
    """The `data` of an answer of Prometheus' HTTP API. Raises OSError."""
    query = urllib.parse.urlencode(parameters)
    url = f"{address}/api/v1/{path}?{query}"
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
        return json.load(answer)["data"]
