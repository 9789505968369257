"""The columnar balances fold gives what the reference gives, for every cut and any ticks."""

from collections import Counter
from typing import Any
from unittest.mock import patch

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from projections.balances import plan
from schemas.frames import RatedKind
from schemas.times import format_instant
from tests.builders import (
    Outcome,
    at,
    cuts,
    drawn_by_columns,
    drawn_by_reference,
    line,
    rated,
    rated_document,
    rated_tick,
)

START = at("2026-03-01")
HOUR = 3_600_000_000
ACCOUNTS = ("a", "b")
RULES: tuple[Any, ...] = (
    None,
    [],
    [{"id": "left", "measure": "remaining_amount", "thresholds": ["5", "0.5", "100"]}],
    [
        {"id": "half", "measure": "remaining_percent", "thresholds": ["50", "10"]},
        {"id": "used", "measure": "consumed_percent", "thresholds": ["0", "33.333333333", "100"]},
    ],
)


@st.composite
def account(draw: st.DrawFn, name: str) -> dict[str, Any]:
    terms: dict[str, Any] = {"kind": "Account", "id": name, "rate_card": "standard"}
    rules = draw(st.sampled_from(RULES))
    if rules is not None:
        terms["alerts"] = rules
    if draw(st.booleans()):
        terms["late_grace"] = "PT2H"
    return terms


@st.composite
def grant(draw: st.DrawFn, now: int) -> dict[str, Any]:
    start = now + draw(st.sampled_from((-48, -3, -1, 0, 1, 2))) * HOUR
    terms: dict[str, Any] = {
        "kind": "Grant",
        "id": draw(st.sampled_from(("g1", "g2", "g3", "g4", "g5"))),
        "account": draw(st.sampled_from(ACCOUNTS)),
        "type": draw(st.sampled_from(("prepaid", "promotional"))),
        "amount": draw(st.sampled_from(("1", "5", "10", "100", "1000000000000000000"))),
        "effective_at": format_instant(start),
        "priority": draw(st.sampled_from((50, 50, 10))),
    }
    if draw(st.booleans()):
        terms["expires_at"] = format_instant(start + draw(st.integers(1, 60)) * HOUR)
    if draw(st.integers(0, 2)) == 0:
        terms["products"] = draw(st.sampled_from((["p"], ["q"], ["p", "q"])))
    return terms


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    now, rows = START, [rated_document(START, draw(account(name))) for name in ACCOUNTS]
    rows += [rated_document(now, draw(grant(now))) for _ in range(draw(st.integers(0, 4)))]
    for _ in range(draw(st.integers(1, 30))):
        now += draw(st.sampled_from((0, 0, 1, HOUR // 2, HOUR, 5 * HOUR)))
        match draw(st.integers(0, 13)):
            case 0 | 1:
                rows.append(rated_tick(now))
            case 2:
                rows.append(rated_document(now, draw(grant(now))))
            case 3:
                rows.append(rated_document(now, draw(account(draw(st.sampled_from(ACCOUNTS))))))
            case 4:
                rows.append({"kind": int(RatedKind.UNRATED), "at": now, "account": "x"})
            case _:
                cost = draw(st.sampled_from(("0", "0.1", "0.1", "0.5", "1", "2.5", "7", "120")))
                late = draw(st.sampled_from((0, 0, 0, -1, -3 * HOUR, -30 * HOUR, HOUR)))
                product = draw(st.sampled_from(("p", "q")))
                rows.append(line(now, draw(st.sampled_from(ACCOUNTS)), product, cost, now + late))
    return rows


def _same(expected: Outcome, actual: Outcome) -> None:
    assert_frame_equal(expected.ledger, actual.ledger)
    assert expected.alerts == actual.alerts
    assert expected.refused == actual.refused
    assert expected.rows == actual.rows


@settings(max_examples=300, deadline=None)
@given(rows=streams(), edges=st.lists(st.integers(0, 40), max_size=6))
def test_columns_equal_the_reference_for_every_cut(
    rows: list[dict[str, Any]], edges: list[int]
) -> None:
    frame = rated(rows)
    _same(drawn_by_reference(frame), drawn_by_columns(cuts(frame, edges)))


def _content(outcome: Outcome) -> tuple[Counter[Any], Counter[str]]:
    places = ("journal_offset", "row", "ordinal")
    postings = outcome.ledger.drop(places).rows()
    return Counter(postings), Counter(alert.id + str(alert.at) for alert in outcome.alerts)


@settings(max_examples=200, deadline=None)
@given(rows=streams())
def test_more_or_fewer_ticks_change_no_posting_and_no_alert(rows: list[dict[str, Any]]) -> None:
    """I7; at the end a last tick lets everything due by then happen in both."""
    end = rated_tick(max(row["at"] for row in rows) + 100 * HOUR)
    placed = rated([*rows, end])
    fewer = placed.filter((pl.col("kind") != int(RatedKind.TICK)) | (pl.col("at") == end["at"]))
    assert _content(drawn_by_reference(placed)) == _content(drawn_by_columns([fewer]))


def _seen(rows: list[dict[str, Any]]) -> set[str]:
    """What happens in a stream: kinds of postings and alerts, refusals, and the quick path."""
    frame = rated(rows)
    outcome = drawn_by_reference(frame)
    labels = set(outcome.ledger.get_column("posting"))
    labels |= {alert.type for alert in outcome.alerts}
    labels |= {refused.reason for refused in outcome.refused}
    for _, slices in outcome.ledger.group_by("journal_offset", "row"):
        if len(set(slices.get_column("grant").drop_nulls())) > 1:
            labels.add("a line over several grants")
    if any(row["kind"] == RatedKind.DOCUMENT and row["at"] > START for row in rows):
        labels.add("a document between lines")
    taken: list[Any] = []

    def take(*arguments: Any) -> Any:
        taken.append(plan.take(*arguments))
        return taken[-1]

    with patch("projections.balances.columnar.take", take):
        drawn_by_columns(cuts(frame, range(3, frame.height, 5)))
    if any(payers is not None for payers in taken):
        labels.add("the quick path")
    if any(payers is None for payers in taken):
        labels.add("lines that do not fit the quick path")
    if any(None in payers for payers in taken if payers is not None):
        labels.add("overage by the quick path")
    return labels


def test_every_boundary_occurs_in_the_generated_streams() -> None:
    """The equality above says something about each of these."""
    found: set[str] = set()

    @settings(max_examples=400, deadline=None, derandomize=True, database=None)
    @given(rows=streams())
    def look(rows: list[dict[str, Any]]) -> None:
        found.update(_seen(rows))

    look()
    assert {
        "issued",
        "consumed",
        "reopened",
        "overage",
        "expired",
        "conflict",
        "credits.grant.issued",
        "credits.grant.expired",
        "credits.balance.low",
        "credits.balance.recovered",
        "credits.balance.depleted",
        "credits.overage.started",
        "a line over several grants",
        "a document between lines",
        "the quick path",
        "lines that do not fit the quick path",
        "overage by the quick path",
    } <= found
