"""I1 and I2: each raw record has exactly the outcome that it must have."""

import json
from collections.abc import Iterator
from typing import Any, Final

from schemas.partition import partition_of
from schemas.times import DAY, SECOND, TimeError, parse_instant
from tests.simulation.audit.reading import Logs, source_of
from tests.simulation.log import Stored

MAX_AGE: Final = 3 * DAY
MAX_LEAD: Final = 300 * SECOND
WINDOW: Final = 3 * DAY
_ATTRIBUTES: Final = ("specversion", "id", "source", "type", "subject", "time")
_CATALOG: Final = {"Product", "RateCard", "Pack"}
Outcome = str | None
"""The reason of a refusal; None: accepted."""
_ACCEPTED: Final[frozenset[Outcome]] = frozenset({None})


def audit_admission(logs: Logs, kinds: set[str]) -> Iterator[str]:
    """Faults in what became of the raw records; `kinds` are all kinds of documents there are."""
    accepted = [(source_of(row), row["offset"]) for row in logs.journal]
    outcomes = accepted + list(logs.refused)
    every = [(source, at) for source in range(3) for at in range(len(logs.raw[source]))]
    if sorted(outcomes) != every:
        yield f"I1: outcomes of {sorted(outcomes)}, records {every}"
    yield from _in_order(logs)
    for source in (0, 1):
        for at, record in enumerate(logs.raw[source]):
            found = logs.refused.get((source, at))
            expected = _document(logs, source, record, kinds)
            if found not in (expected or _ACCEPTED):
                yield f"I1: document {source}:{at} ended {found}, expected {expected}"
    yield from _usage(logs)
    for (source, at), reason in logs.refused.items():
        value = logs.raw[source][at].value or b""
        if reason == "forwarded":
            if value not in logs.forwarded:
                yield f"I1: usage {at} was not sent on"
        elif logs.rejected.get((source, at)) != value:
            yield f"I1: {source}:{at} is {reason}, and is not shown as rejected"


def _in_order(logs: Logs) -> Iterator[str]:
    """Accepted records stand in the order in which they were received, each source in its own."""
    latest, before, at = [0, 0, 0], [-1, -1, -1], 0
    for row in logs.journal:
        source = source_of(row)
        latest[source] = max(latest[source], row["received_at"])
        if row["offset"] <= before[source]:
            yield f"order: {source}:{row['offset']} comes after {before[source]}"
        if latest[source] < at:
            yield f"order: {source}:{row['offset']} received at {latest[source]}, after {at}"
        before[source], at = row["offset"], latest[source]


def _document(logs: Logs, source: int, record: Stored, kinds: set[str]) -> set[str] | None:
    """The reasons for which a document may be refused; None where it must be accepted."""
    loaded = _loaded(record)
    if isinstance(loaded, str):
        return {loaded, "invalid_document"}
    if not isinstance(loaded, dict) or "surprise" in loaded:
        return {"invalid_document"}
    if loaded.get("kind") not in kinds:
        return {"unknown_kind"}
    if (loaded["kind"] in _CATALOG) != (source == 0):
        return {"invalid_document"}
    account = loaded["id"] if loaded["kind"] == "Account" else loaded.get("account")
    strays = source == 1 and partition_of(account, logs.partitions) != logs.partition
    return {"misrouted"} if strays else None


def _loaded(record: Stored) -> Any:
    """The JSON value, or why there is none."""
    try:
        return json.loads((record.value or b"").decode())
    except UnicodeDecodeError:
        return "not_utf8"
    except ValueError:
        return "malformed_json"


def _usage(logs: Logs) -> Iterator[str]:
    """A key is accepted once in a window: its first record, whatever was refused before it."""
    claimed: dict[tuple[str, str, str], tuple[int, Any]] = {}
    clock = 0
    for at, record in enumerate(logs.raw[2]):
        received = record.stamp * 1_000
        clock = max(clock, received)
        found = logs.refused.get((2, at))
        if any(name == "drawdown-kind" for name, _ in record.headers or ()):
            if found is not None:
                yield f"I1: tick {at} ended {found}"
            continue
        event, allowed = _event(logs, record, received)
        if event is not None:
            key = (event["subject"], event["source"], event["id"])
            content = (event["type"], event.get("contract"), _data(record.value or b""))
            if found != "negative_quantity":
                allowed = _claimed(claimed.get(key), clock, content)
            if found is None:
                claimed[key] = (clock, content)
        if found not in allowed:
            yield f"I1, I2: usage {at} ended {found}, expected of {allowed}: {record.value!r}"


def _claimed(claim: tuple[int, Any] | None, clock: int, content: Any) -> set[Outcome]:
    """Surely refused within a window of its claim, surely accepted after two."""
    if claim is None:
        return {None}
    since, first = claim
    again = "duplicate" if content == first else "conflict"
    if clock - since <= WINDOW:
        return {again}
    return {None, again} if clock - since <= 2 * WINDOW else {None}


def _data(value: bytes) -> bytes:
    """The bytes of `data` as they came; the traffic writes it before an optional contract."""
    _, found, rest = value.partition(b'"data": ')
    return rest[: rest.index(b"}") + 1] if found else b""


def _event(logs: Logs, record: Stored, received: int) -> tuple[Any, set[Outcome]]:
    """The event that may be claimed; else the reasons for which it may be refused."""
    event = _loaded(record)
    if isinstance(event, str):
        return None, {event}
    if not isinstance(event, dict) or any(name not in event for name in _ATTRIBUTES):
        return None, {"invalid_envelope"}
    try:
        time = parse_instant(event["time"])
    except TimeError:
        return None, {"invalid_envelope"}
    if partition_of(event["subject"], logs.partitions) != logs.partition:
        forwarded = any(name == "drawdown-forwarded" for name, _ in record.headers or ())
        return None, {"misrouted" if forwarded else "forwarded"}
    if not received - MAX_AGE <= time <= received + MAX_LEAD:
        return None, {"too_old" if time < received else "too_early"}
    numbers = [value for value in (event.get("data") or {}).values() if isinstance(value, int)]
    # Whether a meter takes the value depends on the catalog of its place: rating is asked for that.
    return event, {"negative_quantity"} if any(number < 0 for number in numbers) else set()
