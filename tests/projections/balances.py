"""Builders of what the balances tests speak about: one account `a`, by reference and by columns."""

from typing import Any

from projections.balances.books import accounts_in, retired_grants
from projections.balances.row import check_conservation
from projections.balances.summary import summarise
from schemas.frames import RatedKind
from schemas.numbers import Credits
from schemas.times import format_instant
from tests.builders import (
    Outcome,
    at,
    drawn_by_columns,
    drawn_by_reference,
    rated,
    rated_document,
)

DAY = 86_400_000_000
HOUR = DAY // 24
T = at("2026-03-01")


def account(when: int = T, **terms: Any) -> dict[str, Any]:
    """An account document `a`."""
    return rated_document(when, {"kind": "Account", "id": "a", "rate_card": "standard", **terms})


def grant(name: str, amount: str, when: int = T, **terms: Any) -> dict[str, Any]:
    """A grant document of `a`, effective at once unless `terms` say otherwise."""
    terms = {"effective_at": T, **terms}
    for field in ("effective_at", "expires_at"):
        if field in terms:
            terms[field] = format_instant(terms[field])
    fields = {"kind": "Grant", "id": name, "account": "a", "type": "prepaid", "amount": amount}
    return rated_document(when, {**fields, **terms})


def drawn(*rows: dict[str, Any]) -> Outcome:
    """What the reference does with the rows; the columns do the same.

    They do it whole, row by row, and in one batch after the last document, where all lines may be
    quick.
    """
    frame = rated(rows)
    expected = drawn_by_reference(frame)
    singly = [frame.slice(place, 1) for place in range(frame.height)]
    kinds = [row["kind"] == RatedKind.DOCUMENT for row in rows]
    cut = len(kinds) - kinds[::-1].index(True)
    for parts in ([frame], singly, [*singly[:cut], frame.slice(cut)]):
        actual = drawn_by_columns(parts)
        assert expected.ledger.equals(actual.ledger)
        assert expected.alerts == actual.alerts
        assert expected.refused == actual.refused
        assert expected.rows == actual.rows
    return expected


def postings(outcome: Outcome) -> list[tuple[str, str | None, str]]:
    """(posting, grant, amount) of the ledger in order."""
    rows = outcome.ledger.select("posting", "grant", "amount").iter_rows()
    return [(kind, name, str(Credits.parse(amount))) for kind, name, amount in rows]


def alerts(outcome: Outcome) -> list[tuple[str, ...]]:
    """Each alert's last word, then its rule and threshold or its grant."""
    told = []
    for alert in outcome.alerts:
        subject = (alert.rule, alert.threshold, alert.grant)
        told.append((alert.type.removeprefix("credits."), *(text for text in subject if text)))
    return told


def held(outcome: Outcome) -> dict[str, Any]:
    """The summary of `a`; its row is whole."""
    row = accounts_in(outcome.rows)["a"]
    assert check_conservation("a", row.grants) == []
    return summarise(row, retired_grants(row, outcome.rows.get))
