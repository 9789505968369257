"""What a backfill leaves out, and what it says it would change: the folds then do just that."""

import json
from typing import Any

import pytest

from deploy.corrections.candidates import Candidates, candidates_of
from deploy.corrections.effects import AccountEffects, effects_of
from ingest.encode import Encoder, Row
from ingest.mapping import EventMapping
from ingest.sources import JsonLines
from processors.admission.window import Window
from projections.balances.books import accounts_in
from projections.rows import MemoryReader
from schemas.documents import Backfill, canonical
from schemas.frames import Source
from schemas.times import format_instant
from tests.deploy.reading.contracts import DAY_SECONDS, text
from tests.deploy.reading.pipeline import DAY, START, Logs, Traffic, admit, fold

NOW = START + 20 * DAY
WINDOW = Window(3 * DAY, 300_000_000)


def line(number: int, identity: str = "b1", days: float = 1, **changes: Any) -> Row:
    """A row of a file: a CloudEvent so many days after START."""
    event = {
        "specversion": "1.0",
        "id": identity,
        "source": "old",
        "type": "llm.request",
        "subject": "acme",
        "time": format_instant(START + int(days * DAY)),
        "data": {"tokens": 3},
        **changes,
    }
    raw = json.dumps(event).encode()
    encoder = Encoder(EventMapping(), JsonLines.kind, "0" * 64)
    return Row(number, encoder.json_line(number, raw), raw)


def reasons(found: Candidates) -> tuple[list[int], dict[int, str], dict[int, str]]:
    """Rows taken, and why others are refused or left out."""
    return (
        [each.number for each in found.taken],
        {each.number: each.why for each in found.refused},
        {each.number: each.why for each in found.known},
    )


def test_old_usage_is_taken_once() -> None:
    found = candidates_of([line(1), line(2), line(3, "b2"), line(4, "b2", data=1)], WINDOW, NOW)
    taken, refused, known = reasons(found)
    assert taken == [1, 3]
    assert list(known) == [2]
    assert "(conflict)" in refused[4]
    first = found.taken[0]
    assert first.key == ("acme", "old", "b1")
    assert json.loads(first.command.event)["data"] == {"tokens": 3}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"days": 19}, "inside the window of ordinary usage: `drawdown send` it"),
        ({"days": 17}, "inside the window"),
        ({"days": 21}, "too_early"),
        ({"subject": "no id"}, "subject"),
        ({"specversion": "2.0"}, "specversion"),
        ({"time": "yesterday"}, "time"),
        ({"data": "\\" * 300_000}, "bytes as a command"),
    ],
)
def test_what_cannot_be_backfilled_is_refused_with_its_reason(
    changes: dict[str, Any], why: str
) -> None:
    _, refused, _ = reasons(candidates_of([line(1, **changes)], WINDOW, NOW))
    assert why in refused[1]


def test_other_accounts_are_passed_over() -> None:
    rows = [line(1), line(2, subject="other")]
    assert reasons(candidates_of(rows, WINDOW, NOW, "other")) == ([2], {}, {})


def test_what_is_there_already_is_left_out() -> None:
    found = candidates_of([line(1), line(2, "b2")], WINDOW, NOW)
    left = found.without([("acme", "old", "b1")], "there")
    assert reasons(left) == ([2], {}, {1: "there"})


def world() -> Logs:
    """An account with a grant that has ended, one that has not, and usage of the month before."""
    traffic = Traffic()
    meter = {"event_type": "llm.request", "aggregation": "sum", "value": "tokens"}
    tiers = [{"up_to": "4", "unit_price": "1"}, {"unit_price": "2"}]
    rates = [{"product": "tokens", "price": {"model": "graduated", "tiers": tiers}}]
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": rates}
    traffic.document(0, "Product", id="tokens", meter=meter)
    traffic.document(0, "RateCard", id="standard", versions=[version])
    traffic.document(1, "Account", id="acme", rate_card="standard")
    for name, amount, end in (("ending", "6", 19.5), ("lasting", "5", 90)):
        traffic.document(
            1,
            "Grant",
            id=name,
            account="acme",
            type="promotional",
            amount=amount,
            effective_at=text(0),
            expires_at=text(end * DAY_SECONDS),
        )
    traffic.usage(DAY_SECONDS, "acme", 1, 2)
    traffic.tick(20 * DAY_SECONDS)
    return fold(admit(traffic))


def effects(logs: Logs, *commands: Backfill) -> AccountEffects:
    """What commands would change of the only account."""
    rating, balances = MemoryReader(), MemoryReader()
    rating.rows, balances.rows = dict(logs.rating.rows), dict(logs.balances.rows)
    (found,) = effects_of(commands, rating, balances, logs.rating.position.clock)
    assert (rating.rows, balances.rows) == (logs.rating.rows, logs.balances.rows)
    return found


def commands(*identities: str, **changes: Any) -> list[Backfill]:
    """The commands of old usage."""
    rows = [line(number, identity, **changes) for number, identity in enumerate(identities)]
    return [each.command for each in candidates_of(rows, WINDOW, NOW).taken]


def test_effects_are_said_before_and_then_come_about() -> None:
    """2 + 3 tokens reach the second tier: 2 + 2; the next 3 cost 6.

    The ended grant is reopened for its 4 (it held 6, and 2 were used), the other pays 5, 1 is owed.
    """
    logs = world()
    chosen = commands("b1", "b2")
    said = effects(logs, *chosen).to_dict()
    assert (said["events"], said["cost"]) == (2, "10")
    assert said["available"] == {"before": "5", "after": "0"}
    assert said["overage"] == {"before": "0", "after": "1"}
    assert said["grants"] == [
        {
            "grant": "ending",
            "consumed": {"before": "2", "after": "6"},
            "expired": {"before": "4", "after": "0"},
        },
        {
            "grant": "lasting",
            "consumed": {"before": "0", "after": "5"},
            "remaining": {"before": "5", "after": "0"},
        },
    ]
    types = {alert["type"] for alert in said["alerts"]}
    assert types == {
        "credits.balance.low",
        "credits.balance.depleted",
        "credits.overage.started",
    }
    (period,) = said["closed_periods"]
    assert (period["start"], period["end"]) == ("2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z")
    assert (period["cost"], period["overage"]) == ("10", "1")

    for command in chosen:
        logs.traffic.send(Source.CREDITS, 20 * DAY_SECONDS, canonical(command))
    row = accounts_in(fold(admit(logs.traffic)).balances.rows)["acme"]
    assert (row.available, row.overage, row.consumed) == (0, 10**9, 11 * 10**9)


def test_what_has_no_price_would_wait_and_what_is_negative_is_refused() -> None:
    logs = world()
    (other,) = commands("b1", type="other")
    (less,) = commands("b2", data={"tokens": -1})
    said = effects(logs, other, less).to_dict()
    assert said["unrated"] == [{"source": "old", "id": "b1", "reason": "no_product"}]
    assert said["refused"] == [{"id": less.id, "reason": "negative_quantity"}]
    assert (said["cost"], said["grants"], said["closed_periods"]) == ("0", [], [])
