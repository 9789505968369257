"""Balances over the whole domain: any history, in any cut, with any ticks."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from projections.balances import plan
from projections.balances.books import hold_key
from projections.balances.wire import decode_row, encode_row
from schemas.frames import RatedKind
from tests.builders import Outcome, cuts, drawn_by_columns, drawn_by_reference, rated
from tests.projections.auditor import tallied
from tests.projections.histories import Act, Unfolding, histories, holdings

CUTS = st.one_of(st.just(range(100)), st.lists(st.integers(0, 45), max_size=6))


def _same(expected: Outcome, actual: Outcome) -> None:
    assert_frame_equal(expected.ledger, actual.ledger)
    assert expected.alerts == actual.alerts
    assert expected.refused == actual.refused
    assert expected.rows == actual.rows


@settings(max_examples=80)
@given(acts=st.one_of(histories(), holdings()), edges=CUTS, keep=st.sampled_from((0, 0, 3, 1000)))
def test_columns_equal_the_audited_reference_for_every_cut(
    acts: list[Act], edges: Sequence[int], keep: int
) -> None:
    """I3 and I5: after each row the postings replay to the rows; memory may forget anything."""
    unfolding = Unfolding().play(acts)
    expected = unfolding.model.outcome()
    frame = rated(unfolding.rows)
    _same(expected, drawn_by_columns(cuts(frame, edges), keep))
    for raw in expected.rows.values():
        assert encode_row(decode_row(raw)) == raw
    drawn = tallied(expected.rows)
    for account, grants in unfolding.auditor.grants.items():
        held = drawn.get(account, Counter())
        assert all(held[name] <= parts["consumed"] for name, parts in grants.items())
        assert set(held) <= set(grants)


def _content(outcome: Outcome) -> tuple[Counter[Any], Counter[Any]]:
    places = ("journal_offset", "row", "ordinal")
    postings = outcome.ledger.drop(places).rows()
    told = ((alert.id, alert.at, alert.type, alert.amount) for alert in outcome.alerts)
    return Counter(postings), Counter(told)


@settings(max_examples=80)
@given(acts=st.one_of(histories(), holdings()), hours=st.sampled_from((1, 7, 24)))
def test_more_or_fewer_ticks_change_no_posting_and_no_alert(acts: list[Act], hours: int) -> None:
    """I7: all ticks but the last are left out, and a tick put before every row."""
    frame = rated(Unfolding().play(acts).rows)
    last = frame.get_column("at").max()
    ticks = pl.col("kind") == int(RatedKind.TICK)
    fewer = frame.filter(~ticks | (pl.col("at") == last))
    more = _with_ticks(frame, hours)
    expected = _content(drawn_by_reference(fewer))
    assert expected == _content(drawn_by_columns([fewer]))
    assert expected == _content(drawn_by_reference(more))


def _with_ticks(frame: pl.DataFrame, hours: int) -> pl.DataFrame:
    """The rows, and up to 40 ticks `hours` apart before each; places are kept."""
    parts = []
    before = None
    for row in frame.iter_rows(named=True):
        clock = row["at"] if before is None else before
        for _ in range(40):
            clock += hours * 3_600_000_000
            if clock > row["at"]:
                break
            bare = dict.fromkeys(row) | {"kind": int(RatedKind.TICK), "at": clock}
            place = ("journal_offset", "row", "ordinal")
            parts.append(bare | {name: row[name] for name in place})
        parts.append(row)
        before = row["at"]
    return pl.DataFrame(parts, schema=frame.schema)


def _seen(acts: list[Act]) -> set[str]:
    """What happens in a history: postings, alerts, refusals, states, and both paths."""
    unfolding = Unfolding().play(acts)
    expected = unfolding.model.outcome()
    labels = set(expected.ledger.get_column("posting"))
    labels |= {alert.type for alert in expected.alerts}
    labels |= {f"refused: {refused.reason}" for refused in expected.refused}
    labels |= {f"due: {_kind_of_due(alert.cause.key)}" for alert in expected.alerts}
    labels |= _of_postings(expected.ledger)
    labels |= _of_holds(expected.ledger) | unfolding.auditor.holds.met
    labels |= _of_rows(unfolding)
    taken: list[Any] = []

    def take(*arguments: Any) -> Any:
        taken.append(plan.take(*arguments))
        if arguments[0].holds_until is not None:
            labels.add("not quick beside a hold" if taken[-1] is None else "quick beside a hold")
        return taken[-1]

    frame = rated(unfolding.rows)
    with patch("projections.balances.columnar.take", take):
        drawn_by_columns(cuts(frame, range(3, frame.height, 4)))
    for payers in taken:
        labels.add("not quick" if payers is None else "quick")
        if payers and None in payers:
            labels.add("quick overage")
    return labels


def _kind_of_due(key: str) -> str:
    name, _, _ = key.rpartition("@")
    return name.partition("|")[0] if "|" in name else "other"


def _of_postings(ledger: pl.DataFrame) -> set[str]:
    labels = set()
    for posting, grant, amount, line in ledger.select(
        "posting", "grant", pl.col("amount").to_physical(), "id"
    ).iter_rows():
        if amount < 0:
            labels.add(f"{posting} comes back")
        if grant is not None and "~" in grant:
            labels.add("a rolled grant of a rule" if "@" in grant else "a rolled grant")
            if grant.endswith("~2"):
                labels.add("rolled twice")
        if line is not None and "@" in line:
            labels.add(f"fee {posting}")
    if ledger.get_column("unauthorised").any():
        labels.add("unauthorised")
    if ledger.filter(pl.col("contract").is_not_null()).height:
        labels.add("under a contract")
    return labels


def _of_holds(ledger: pl.DataFrame) -> set[str]:
    """What became of holds whose grants had ended, and of which contracts they were."""
    labels: set[str] = set()
    ended: dict[tuple[str, str], str] = {}
    freed: dict[tuple[str, str], str | None] = {}
    columns = ("account", "grant", "posting", "match", "contract", "reference")
    for account, grant, posting, match, contract, reference in ledger.select(columns).iter_rows():
        place = (account, grant)
        of_hold = posting == "consumed" and (match or "").startswith("hold:")
        if of_hold and contract is not None:
            labels.add("a contract's hold captured")
        if posting == "released":
            freed[place] = reference
        elif of_hold and place in ended:
            labels.add(f"captured of what was {ended[place]}")
        elif posting in ("expired", "voided", "refunded"):
            if place in ended and freed.get(place) is not None:
                labels.add(f"released of what was {ended[place]}")
            ended.setdefault(place, posting)
        if posting != "released":
            freed.pop(place, None)
    return labels


def _of_rows(unfolding: Unfolding) -> set[str]:
    labels = set()
    for account in ("a", "b"):
        row = unfolding.model.books.account(account)
        assert row is not None
        if row.retired:
            labels.add("retired")
        labels |= _of_ends(unfolding, account)
        for scope in row.scopes.values():
            if scope.revision > 1:
                labels.add("amended")
            if scope.ended:
                labels.add("terminated")
            if scope.overage < 0:
                labels.add("negative overage")
            if scope.top_up is not None and scope.top_up.failures:
                labels.add("top-up failed")
        for lineage in row.terms.contracts.values():
            labels.add(f"policy {lineage.policy}")
    return labels


def _of_ends(unfolding: Unfolding, account: str) -> set[str]:
    labels = set()
    ended = unfolding.auditor.holds.ended
    held = {at for (of, _), at in ended.items() if of == account}
    ends = {
        posting.at
        for posting in unfolding.model.postings
        if (posting.posting, posting.account) == ("expired", account)
    }
    if held & ends:
        labels.add("a hold ends as its grant does")
    rows = unfolding.model.books.rows
    if any(rows.get(hold_key(of, name)) is None for of, name in ended):
        labels.add("a hold's row goes")
    return labels


EXPECTED = {
    *("issued", "adjusted", "consumed", "consumed comes back", "reopened", "reopened comes back"),
    *("overage", "overage comes back", "repaid", "settled", "expired", "rolled_over", "received"),
    *("voided", "refunded", "fee consumed", "fee overage"),
    *("credits.grant.issued", "credits.grant.expired", "credits.grant.rolled_over"),
    *("credits.grant.voided", "credits.grant.refunded", "credits.grant.expiring"),
    *("credits.balance.low", "credits.balance.recovered", "credits.balance.depleted"),
    *("credits.overage.started", "credits.overage.capped", "credits.overage.due"),
    *("credits.limit.reached", "credits.topup.requested"),
    *("refused: conflict", "refused: exceeds_overage", "refused: not_pending"),
    *("refused: unknown_contract", "refused: unknown_grant"),
    *("refused: unknown_request", "refused: invalid_document"),
    *("due: overage", "due: ready", "due: top_up", "due: *", "due: k1", "due: k2"),
    *("a rolled grant", "a rolled grant of a rule", "rolled twice", "retired", "amended"),
    *("terminated", "policy expire", "policy refund", "policy to_account", "under a contract"),
    *("negative overage", "top-up failed", "unauthorised"),
    *("quick", "quick overage", "not quick"),
}
"""Of `due:`, what alerts name as their cause: ends of periods, top-ups, notices of expiry."""


HELD = {
    *("held", "released", "a hold expires", "all captured", "a part captured", "due: hold"),
    *("refused: insufficient_credits", "refused: unknown_hold", "refused: hold_ended"),
    *("refused: exceeds_hold", "refused: below_consumed", "an id used again"),
    *("captured of what was expired", "released of what was expired"),
    *("captured of what was voided", "released of what was voided"),
    *("captured of what was refunded", "released of what was refunded"),
    *("a contract's hold captured", "quick beside a hold", "not quick beside a hold"),
    *("a hold ends as its grant does", "a hold's row goes"),
}


@pytest.mark.parametrize(
    ("strategy", "expected", "examples"),
    [(histories(), EXPECTED, 250), (holdings(), HELD, 400)],
    ids=["any", "held"],
)
def test_every_boundary_occurs_in_the_generated_histories(
    strategy: st.SearchStrategy[list[Act]], expected: set[str], examples: int
) -> None:
    """The equalities above say something about each of these."""
    found: Counter[str] = Counter()

    @settings(max_examples=examples, derandomize=True, database=None)
    @given(acts=strategy)
    def look(acts: list[Act]) -> None:
        found.update(_seen(acts))

    look()
    assert set(found) >= expected, expected - set(found)
