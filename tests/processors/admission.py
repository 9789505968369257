"""Builders for admission's tests: events as bytes, raw records, buffered times."""

import json
from typing import Any

from processors.admission.record import RawRecord
from schemas.envelope import Headers
from schemas.times import parse_instant

MINUTE = 60_000_000
DAY = 1440 * MINUTE
NOW = parse_instant("2026-01-02T00:00:00Z")


def event(**changes: Any) -> bytes:
    """A usage event of account acme at NOW; None takes an attribute away."""
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": "e1",
        "source": "api",
        "type": "api.call",
        "subject": "acme",
        "time": "2026-01-02T00:00:00Z",
        "data": {"n": 1},
    }
    found |= changes
    return json.dumps({name: value for name, value in found.items() if value is not None}).encode()


def record(
    value: bytes, offset: int = 0, received_at: int = NOW, headers: Headers | None = None
) -> RawRecord:
    """A record as it was read, received at NOW."""
    return RawRecord(offset, received_at, b"key", value, headers)
