"""What `Producer.send` puts on the wire, and what it refuses to."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from ingest.outgoing import encode_event, encode_json
from schemas.events import UsageEvent

EVENT = {
    "id": "e1",
    "source": "api",
    "type": "api.call",
    "subject": "acme",
    "time": "2026-01-02T00:00:00Z",
    "data": {"n": 1},
}


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (Decimal("1.50"), b"1.50"),
        (Decimal("1E-9"), b"0.000000001"),
        (10**30, b"1" + b"0" * 30),
        (-(2**63) - 1, b"-9223372036854775809"),
        ([True, None, "1.5"], b'[true,null,"1.5"]'),
        ({"a": {"b": ()}}, b'{"a":{"b":[]}}'),
        (
            dt.datetime(2026, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            b'"2026-01-01T00:00:00Z"',
        ),
    ],
)
def test_every_digit_is_sent(value: Any, literal: bytes) -> None:
    assert literal == encode_json(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.1, "event: a float is not exact"),
        ({"data": [0.5]}, r"event\.data\[0\]: a float"),
        (Decimal("NaN"), "NaN is not a JSON number"),
        (Decimal("1E+1000000000"), "more than 1000 digits"),
        ({1: 2}, "the name 1 is not text"),
        (b"bytes", "bytes is not JSON"),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None), "datetime is not JSON"),
    ],
)
def test_what_is_not_exact_json_is_refused(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        encode_json(value)


def test_a_nest_without_end_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="nested more than"):
        encode_json(value)


def test_an_event_is_its_account_and_its_json() -> None:
    account, value = encode_event(EVENT)
    assert account == "acme"
    assert json.loads(value) == {"specversion": "1.0", **EVENT}


def test_the_model_and_the_mapping_are_the_same_event() -> None:
    event = EVENT | {"data": {"n": 1, "none": None}, "tenant": "x"}
    _, from_mapping = encode_event(event)
    _, from_model = encode_event(UsageEvent.model_validate(event))
    assert json.loads(from_mapping) == json.loads(from_model)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subject": None}, "subject"),
        ({"subject": "no spaces"}, "subject"),
        ({"time": "soon"}, "time"),
        ({"time": "2026-01-01T00:00:00"}, "time"),
        ({"id": ""}, "id"),
        ({"specversion": "0.3"}, "specversion"),
        ({"data": {"text": "x" * 1_000_000}}, "at most 1000000"),
    ],
)
def test_a_wrong_event_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        encode_event(EVENT | change)
