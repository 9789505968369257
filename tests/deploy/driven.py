"""What is sent to a deployment, wherever it runs, and what must come of it: a credit an event."""

import json
import urllib.request
from datetime import UTC, datetime
from typing import Any, Final

SCOPES: Final = ("ingest", "read", "write")
"""What a key must be allowed for all of it."""
ISSUED: Final = 1_000_000
EVENTS: Final = 100
"""Of one request."""
_ANSWER_SECONDS: Final = 40.0


def documents(accounts: int) -> list[dict[str, Any]]:
    """Accounts `a0`, `a1`, … with ISSUED credits each, and a price of one credit an event."""
    since = "2026-01-01T00:00:00Z"
    rate = {"product": "calls", "price": {"model": "unit", "unit_price": "1"}}
    version = {"version": 1, "effective_from": since, "rates": [rate]}
    meter = {"event_type": "api.call", "aggregation": "count"}
    found: list[dict[str, Any]] = [
        {"kind": "Product", "id": "calls", "meter": meter},
        {"kind": "RateCard", "id": "card", "versions": [version]},
    ]
    for account in (f"a{number}" for number in range(accounts)):
        found.append({"kind": "Account", "id": account, "rate_card": "card"})
        grant = {"kind": "Grant", "id": "g", "account": account, "type": "prepaid"}
        found.append({**grant, "amount": str(ISSUED), "effective_at": since})
    return found


def usage(called: str, accounts: int) -> list[dict[str, Any]]:
    """EVENTS of now, in turn over the accounts; `called` makes their ids, never twice the same."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    shared = {"specversion": "1.0", "source": "driven", "type": "api.call", "time": now}
    return [
        {**shared, "id": f"{called}-{number}", "subject": f"a{number % accounts}", "data": {}}
        for number in range(EVENTS)
    ]


def call(address: str, token: str, body: object = None, **headers: str) -> Any:
    """What an address answers, decoded. Raises HTTPError, OSError."""
    sent = None if body is None else json.dumps(body).encode()
    given = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
    request = urllib.request.Request(address, data=sent, headers=given)
    with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
        return json.loads(answer.read())
