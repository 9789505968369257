import json
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.envelope import Usage, decode_event
from schemas.events import AlertEvent, UsageEvent


def event(**changes: Any) -> dict[str, Any]:
    """A CloudEvent of usage; an attribute changed to `...` is left out."""
    fields = {
        "specversion": "1.0",
        "id": "e1",
        "source": "api",
        "type": "api.call",
        "subject": "acme",
        "time": "2026-01-02T00:00:00Z",
        "data": {"calls": 1},
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data": ...},
        {"data": None},
        {"data": [1, "x"]},
        {"region": "eu"},
        {"traceparent": "0"},
        {"contract": "k1"},
        {"contract": None},
    ],
)
def test_model_and_admission_take_the_same_events(changes: dict[str, Any]) -> None:
    """Model and admission take the same events."""
    taken = UsageEvent.model_validate(event(**changes))
    admitted = decode_event(json.dumps(event(**changes)).encode(), None)
    assert isinstance(admitted, Usage)
    assert (taken.subject, taken.source, taken.id, taken.type, taken.time, taken.contract) == (
        admitted.account,
        admitted.source,
        admitted.id,
        admitted.type,
        admitted.time,
        admitted.contract,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "0.3"},
        {"id": ...},
        {"id": ""},
        {"id": 7},
        {"id": "x" * 257},
        {"source": ...},
        {"type": ""},
        {"subject": ...},
        {"subject": "-acme"},
        {"subject": "acme\n"},
        {"time": ...},
        {"time": "2026-01-02T00:00:00"},
        {"time": 1},
        {"contract": "c 1"},
        {"contract": ""},
        {"contract": 1},
        {"data_base64": "eA=="},
        {"Region": "eu"},
        {"a" * 21: "eu"},
    ],
)
def test_model_and_admission_refuse_the_same_events(changes: dict[str, Any]) -> None:
    """Model and admission refuse the same events."""
    with pytest.raises(ValidationError):
        UsageEvent.model_validate(event(**changes))
    admitted = decode_event(json.dumps(event(**changes)).encode(), None)
    assert not isinstance(admitted, Usage)


def test_an_alert_leaves_out_what_has_no_value() -> None:
    """An alert leaves out what has no value."""
    raw = (
        b'{"specversion":"1.0","id":"a1","source":"drawdown","type":"credits.balance.depleted",'
        b'"subject":"acme","time":"2026-01-02T00:00:00Z","datacontenttype":"application/json",'
        b'"data":{"available":"0","at":"2026-01-02T00:00:00Z","position":"1:0:0"}}'
    )
    assert raw == AlertEvent.model_validate_json(raw).model_dump_json(exclude_none=True).encode()
