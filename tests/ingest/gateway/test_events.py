"""What the door takes is what admission takes; a time is put in only where there is none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.gateway.events import Posted, examine, invalid, with_time
from projections.web.keys import new_key
from schemas.reasons import Reason, Refusal

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e1",
    "source": "api",
    "type": "api.call",
    "subject": "acme",
    "time": "2026-01-01T00:00:00Z",
    "data": {"n": "1.5"},
}
NOW = "2026-11-21T12:00:00Z"


def event(**changes: object) -> bytes:
    """EVENT with changes; a change to `...` leaves the attribute out."""
    return json.dumps({k: v for k, v in {**EVENT, **changes}.items() if v is not ...}).encode()


def test_a_good_event_goes_on_as_it_came() -> None:
    value = event() + b"  "
    assert examine(value, None) == Posted("acme", value)


@pytest.mark.parametrize(
    ("changes", "reason", "path"),
    [
        ({"subject": ...}, Reason.INVALID_ENVELOPE, "subject"),
        ({"id": 7}, Reason.INVALID_ENVELOPE, "id"),
        ({"time": "yesterday"}, Reason.INVALID_ENVELOPE, "time"),
        ({"specversion": "0.3"}, Reason.UNSUPPORTED, "specversion"),
        ({"data": {"text": "x" * 1_000_001}}, Reason.TOO_LARGE, None),
    ],
)
def test_a_bad_event_is_told(changes: dict[str, object], reason: Reason, path: str | None) -> None:
    value = event(**changes)
    why = examine(value, None)
    assert isinstance(why, Refusal)
    told = invalid(3, value, why)
    assert (told.index, told.errors[0]["reason"], told.errors[0]["path"]) == (3, reason, path)
    assert told.id == (None if changes.get("id") == 7 else "e1")


def test_a_key_sends_only_what_is_its_own() -> None:
    key, _ = new_key("", ["ingest"], ["api"], ["acme"])
    assert isinstance(examine(event(), key), Posted)
    for changes, path in (({"source": "web"}, "source"), ({"subject": "other"}, "subject")):
        why = examine(event(**changes), key)
        assert isinstance(why, Refusal)
        assert (why.reason, why.path) == (Reason.FORBIDDEN, path)


@pytest.mark.parametrize("value", [b"", b"[]", b"{", b'"x"', b'{"id":"\\ud800"}'])
def test_what_is_no_event_has_no_id(value: bytes) -> None:
    assert with_time(value, NOW) == value
    why = examine(value, None)
    assert isinstance(why, Refusal)
    assert invalid(0, value, why).id is None


@given(time=st.sampled_from([..., None, "2026-01-01T00:00:00Z", "", 5]), within=st.booleans())
def test_time_is_put_in_only_where_there_is_none(time: object, *, within: bool) -> None:
    data = {"time": None} if within else None
    value = event(time=time, data=data)
    found = with_time(value, NOW)
    if time in {..., None}:
        assert json.loads(found) == {**EVENT, "time": NOW, "data": data}
    else:
        assert found == value
