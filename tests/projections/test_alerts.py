"""What an alert is known by, and what it says (schemas/CREDITS.md 7.16 and 7.17)."""

import json
from dataclasses import replace
from typing import Any

import pytest

from projections.balances.alerts import DEPLETED, LOW, Alert, Cause

CAUSE = Cause(1_767_225_600_000_000, "g@1767225600000000", "7:0:0")
ALERT = Alert(LOW, "acme", CAUSE, rule="low", threshold="50", available=10**9, issued=2 * 10**9)


@pytest.mark.parametrize(
    "change",
    [
        {"type": DEPLETED},
        {"account": "bits"},
        {"rule": "other"},
        {"threshold": "80"},
        {"grant": "g"},
        {"contract": "k"},
        {"entity": "team"},
        {"cause": replace(CAUSE, key="h@1767225600000000")},
    ],
)
def test_an_alert_about_something_else_has_another_id(
    change: dict[str, Any],
) -> None:
    assert replace(ALERT, **change).id != ALERT.id


@pytest.mark.parametrize(
    "change",
    [
        {"available": 5},
        {"cause": replace(CAUSE, at=CAUSE.at + 1)},
        {"cause": replace(CAUSE, position="8:0:0")},
    ],
)
def test_where_and_when_a_crossing_was_found_does_not_change_its_id(change: dict[str, Any]) -> None:
    assert replace(ALERT, **change).id == ALERT.id


def test_the_event_names_the_account_and_says_what_has_a_value() -> None:
    event = json.loads(ALERT.to_cloudevent())
    assert event["subject"] == "acme"
    assert event["type"] == LOW
    assert event["time"] == "2026-01-01T00:00:00Z"
    assert event["data"] == {
        "rule": "low",
        "threshold": "50",
        "available": "1",
        "issued": "2",
        "at": "2026-01-01T00:00:00Z",
        "position": "7:0:0",
    }
