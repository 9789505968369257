"""Holds: what the scenarios cannot show (section 10 of CREDITS.md): postings, rows, crowds."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.balances.books import accounts_in, decode_hold, hot_key, open_holds_key
from projections.balances.hold_rows import HoldRow, OpenHoldsRow
from projections.balances.row import BalanceRow
from projections.balances.summary import summarise_hold
from projections.balances.wire import decode_row, encode_row
from schemas.errors import ReleaseError
from schemas.numbers import format_units
from schemas.times import DAY, SECOND
from tests.builders import (
    Outcome,
    cuts,
    drawn_by_columns,
    drawn_by_reference,
    line,
    rated,
    rated_document,
    rated_tick,
)
from tests.projections.balances import HOUR, T, account, alerts, drawn, grant, held, postings

MINUTE = 60 * SECOND


def command(kind: str, when: int, name: str, **fields: Any) -> dict[str, Any]:
    """A command of `a`."""
    return rated_document(when, {"kind": kind, "id": name, "account": "a", **fields})


def place(name: str, amount: str, when: int = T, **terms: Any) -> dict[str, Any]:
    """A hold of product p."""
    return command("place_hold", when, name, product="p", amount=amount, **terms)


def capture(hold: str, when: int = T, name: str = "c", **terms: Any) -> dict[str, Any]:
    """A capture of a hold."""
    return command("capture_hold", when, name, hold=hold, **terms)


def release(hold: str, when: int = T, name: str = "r") -> dict[str, Any]:
    """A release of a hold."""
    return command("release_hold", when, name, hold=hold)


def reasons(outcome: Outcome) -> list[str]:
    """Why commands were refused, in order."""
    return [refused.reason for refused in outcome.refused]


def holds_in(outcome: Outcome) -> dict[str, HoldRow]:
    """The rows of holds that there are, by id."""
    found = {}
    for key, raw in outcome.rows.items():
        if key.startswith("h:a|"):
            row = decode_row(raw)
            assert isinstance(row, HoldRow)
            found[key.removeprefix("h:a|")] = row
    return found


def test_the_ledger_explains_every_hold() -> None:
    """Released as a whole, and then what is captured is consumed, each with the hold's name."""
    outcome = drawn(
        account(alerts=[]),
        grant("g", "3", priority=1),
        grant("h", "10"),
        place("one", "5"),
        place("two", "1"),
        capture("one", amount="4"),
        release("two"),
    )
    assert postings(outcome)[2:] == [
        ("held", "g", "3"),
        ("held", "h", "2"),
        ("held", "h", "1"),
        ("released", "g", "3"),
        ("consumed", "g", "3"),
        ("released", "h", "2"),
        ("consumed", "h", "1"),
        ("released", "h", "1"),
    ]
    references = outcome.ledger.get_column("reference").to_list()[2:]
    assert references == ["one"] * 2 + ["two"] + ["one"] * 4 + ["two"]
    captured = outcome.ledger.filter(outcome.ledger.get_column("posting") == "consumed")
    names = ("source", "id", "time", "product", "contract", "rate_card", "version", "match")
    assert set(captured.select(names).iter_rows()) == {
        (None, "one", T, "p", None, None, None, "hold:one")
    }
    assert [str(cost) for cost in captured.get_column("cost")] == ["4.000000000"] * 2
    assert set(captured.get_column("quantity")) == {0}


def test_no_line_draws_what_is_held() -> None:
    """A line takes what is free and owes the rest; what was held is captured as a whole."""
    outcome = drawn(
        account(alerts=[]),
        grant("g", "10"),
        place("one", "7"),
        line(T + 1, "a", "p", "2"),
        line(T + 2, "a", "p", "2"),
        capture("one", T + 3),
    )
    assert postings(outcome)[1:] == [
        ("held", "g", "7"),
        ("consumed", "g", "2"),
        ("consumed", "g", "1"),
        ("overage", None, "1"),
        ("released", "g", "7"),
        ("consumed", "g", "7"),
    ]


def test_a_line_may_take_exactly_what_is_free() -> None:
    """Beside an open hold the quick path ends where the free part does, to the unit."""
    rows = [account(alerts=[]), grant("g", "10", priority=1), grant("w", "1"), place("one", "7")]
    exactly = drawn(*rows, line(T + 1, "a", "p", "1"), line(T + 2, "a", "p", "2"))
    assert postings(exactly)[3:] == [("consumed", "g", "1"), ("consumed", "g", "2")]
    beyond = drawn(*rows, line(T + 1, "a", "p", "1"), line(T + 2, "a", "p", "2.000000001"))
    assert postings(beyond)[3:] == [
        ("consumed", "g", "1"),
        ("consumed", "g", "2"),
        ("consumed", "w", "0.000000001"),
    ]


def test_a_line_at_the_very_end_of_a_hold_comes_after_it() -> None:
    """The quick path ends where the hold does."""
    rows = [account(alerts=[]), grant("g", "10"), place("one", "10", expires_in="PT1S")]
    before = drawn(*rows, line(T + SECOND - 1, "a", "p", "1"))
    assert postings(before)[-1] == ("overage", None, "1")
    after = drawn(*rows, line(T + SECOND, "a", "p", "1"))
    assert postings(after)[-2:] == [("released", "g", "10"), ("consumed", "g", "1")]


def test_what_is_refunded_of_a_hold_goes_with_its_cost() -> None:
    """9.99 for 9 credits: 4 leave, 2 are captured, and the last 3 leave."""
    outcome = drawn(
        account(alerts=[]),
        grant("g", "9", cost={"amount": "9.99", "currency": "EUR"}),
        place("one", "5"),
        command("refund_grant", T, "x", grant="g"),
        capture("one", amount="2"),
    )
    refunded = outcome.ledger.filter(outcome.ledger.get_column("posting") == "refunded")
    assert refunded.get_column("reference").to_list() == ["4.44 EUR", "3.33 EUR"]
    assert postings(outcome)[-4:] == [
        ("refunded", "g", "4"),
        ("released", "g", "5"),
        ("consumed", "g", "2"),
        ("refunded", "g", "3"),
    ]
    assert held(outcome)["grants"][0]["refunded"] == "7"


def test_a_grant_that_is_held_as_a_whole_ends_all_the_same() -> None:
    """Nothing leaves when it is voided, and that is told; no other hold has anything of it."""
    outcome = drawn(
        account(alerts=[]),
        grant("g", "5"),
        place("one", "5"),
        command("void_grant", T, "x", grant="g"),
        release("one"),
        place("two", "1"),
    )
    assert postings(outcome)[-3:] == [
        ("voided", "g", "0"),
        ("released", "g", "5"),
        ("voided", "g", "5"),
    ]
    assert alerts(outcome)[1:] == [("balance.depleted",), ("grant.voided", "g")]
    assert reasons(outcome) == ["insufficient_credits"]


def test_a_termination_stops_what_is_free_and_waits_for_what_is_held() -> None:
    """`refund`: prepaid leaves with its cost, promotional expires; so does what is released."""
    start = "2026-03-01T00:00:00Z"
    own = [
        {"id": "g", "type": "prepaid", "amount": "4", "cost": {"amount": "8", "currency": "USD"}},
        {"id": "p", "type": "promotional", "amount": "4", "priority": 60},
    ]
    contract = {"kind": "Contract", "id": "k", "account": "a", "starts_at": start, "grants": own}
    outcome = drawn(
        account(alerts=[]),
        rated_document(T, contract),
        place("one", "6"),
        command("terminate_contract", T, "x", contract="k", at=start, policy="refund"),
        release("one"),
        capture("one", name="late"),
    )
    assert postings(outcome)[4:] == [
        ("refunded", "g", "0"),
        ("expired", "p", "2"),
        ("released", "g", "4"),
        ("refunded", "g", "4"),
        ("released", "p", "2"),
        ("expired", "p", "2"),
    ]
    assert reasons(outcome) == ["hold_ended"]


def test_a_grant_stays_while_anything_of_it_is_held_and_then_goes() -> None:
    """Its grace was over long before its hold was."""
    rows = [
        account(alerts=[], late_grace="PT1H"),
        grant("g", "5", expires_at=T + HOUR),
        place("one", "5", expires_in="P3D"),
    ]
    before = drawn(*rows, rated_tick(T + 3 * DAY - 1))
    assert [one.id for one in accounts_in(before.rows)["a"].grants] == ["g"]
    after = drawn(*rows, rated_tick(T + 3 * DAY))
    row = accounts_in(after.rows)["a"]
    assert (row.grants, row.retired, row.holds_until) == ([], 1, None)
    assert held(after)["grants"][0]["expired"] == "5"


def test_the_row_of_a_hold_goes_a_day_after_it_ended() -> None:
    """To the microsecond, by a tick; the account's list goes with the last open hold."""
    rows = [account(alerts=[]), grant("g", "5"), place("one", "1"), place("two", "1")]
    rows += [release("one", T + 1)]
    there = drawn(*rows, rated_tick(T + DAY))
    assert sorted(holds_in(there)) == ["one", "two"]
    assert open_holds_key("a") not in there.rows
    gone = drawn(*rows, rated_tick(T + 1 + DAY))
    assert sorted(holds_in(gone)) == ["two"]
    end = T + 15 * MINUTE
    assert sorted(holds_in(drawn(*rows, rated_tick(end + DAY - 1)))) == ["two"]
    last = drawn(*rows, rated_tick(end), rated_tick(end + DAY))
    assert not [key for key in last.rows if "one" in key or "two" in key]


def test_an_id_is_free_a_day_after_though_no_tick_has_come() -> None:
    """With and without ticks the same: what is past counts as never placed."""
    end = T + 15 * MINUTE
    rows = [account(alerts=[]), grant("g", "5"), place("one", "1")]
    again = [place("one", "2", end + DAY - 1), place("one", "3", end + DAY)]
    ticked = [*rows, rated_tick(end), again[0], rated_tick(end + DAY), again[1]]
    for outcome in (drawn(*rows, *again), drawn(*ticked)):
        assert reasons(outcome) == ["conflict"]
        assert [hold.amount for hold in holds_in(outcome).values()] == [3 * 10**9]


def test_a_hold_that_ended_and_went_while_nothing_came_is_told_of_at_its_time() -> None:
    """One tick a week later: it ends by itself at its own instant, and is gone by then."""
    outcome = drawn(
        account(alerts=[{"id": "left", "measure": "remaining_amount", "thresholds": ["1"]}]),
        grant("g", "5"),
        place("one", "5"),
        rated_tick(T + 7 * DAY),
    )
    assert holds_in(outcome) == {}
    assert [(alert.type, alert.at) for alert in outcome.alerts[1:]] == [
        ("credits.balance.low", T),
        ("credits.balance.depleted", T),
        ("credits.balance.recovered", T + 15 * MINUTE),
    ]


def test_a_hold_never_owes() -> None:
    """Overage that is allowed, and what is owed already, make no difference."""
    outcome = drawn(
        account(alerts=[]), line(T, "a", "p", "1"), place("one", "0.000000001"), grant("g", "1")
    )
    assert reasons(outcome) == ["insufficient_credits"]
    assert outcome.refused[0].detail == "0 of 0.000000001 credits are available for it"
    assert held(outcome)["overage"] == "1"


def test_a_capture_leaves_what_keys_owe_and_their_tallies() -> None:
    """What a grant repaid of a key stays as it was."""
    rows = [account(alerts=[], overage={"settle": "next_grant"}), line(T, "a", "p", "1")]
    rows += [grant("g", "3")]
    outcome = drawn(*rows, place("one", "2"), place("two", "0.1"), capture("one"))
    assert reasons(outcome) == ["insufficient_credits"]
    tallies = [key for key in outcome.rows if key.startswith("k:")]
    assert tallies == ["k:a||p|{}|0"]
    assert outcome.rows[tallies[0]] == drawn(*rows).rows[tallies[0]]


def test_an_account_has_ten_thousand_open_holds_at_most() -> None:
    """One more is refused, until one of them ends; the hot row does not grow with them."""
    rows = [account(alerts=[]), grant("g", "1000000")]
    rows += [place(f"h{number}", "1", T + number) for number in range(10_000)]
    late = T + 10_000
    rows += [place("more", "1", late), release("h5000", late), place("more", "1", late)]
    outcome = drawn_by_columns([rated(rows)])
    assert reasons(outcome) == ["too_many_holds"]
    row = accounts_in(outcome.rows)["a"]
    assert row.grants[0].held == 10_000 * 10**9
    index = decode_row(outcome.rows[open_holds_key("a")])
    assert isinstance(index, OpenHoldsRow)
    assert len(index.ends) == 10_000
    assert len(outcome.rows[hot_key("a")]) < 1_024
    assert row.due == row.holds_until == T + 15 * MINUTE


def test_a_hold_for_each_request_leaves_nothing_a_day_later() -> None:
    """But what was consumed: the same rows as after a line of the whole."""
    rows = [account(alerts=[]), grant("g", "1000000")]
    for number in range(300):
        at = T + number * SECOND
        rows += [place(f"h{number}", "1", at), capture(f"h{number}", at, amount="0.5")]
    before = drawn_by_columns([rated(rows)])
    after = drawn_by_columns([rated([*rows, rated_tick(T + 2 * DAY)])])
    bare = drawn_by_columns([rated([*rows[:2], line(T, "a", "p", "150")])])
    assert len(holds_in(before)) == 300
    assert sorted(after.rows) == sorted(bare.rows)
    assert len(before.rows[hot_key("a")]) == len(bare.rows[hot_key("a")])


@pytest.mark.parametrize("every", [13, 97, 2_000])
def test_thousands_that_contend_for_one_balance_get_what_there_is(every: int) -> None:
    """Of 1000.75 credits 667 times 1.5 and not once more, however the log is cut."""
    rows = [account(alerts=[]), grant("g", "700.5"), grant("w", "300.25")]
    rows += [place(f"h{number}", "1.5", T + number) for number in range(2_000)]
    frame = rated(rows)
    outcome = drawn_by_columns(cuts(frame, range(every, frame.height, every)))
    assert reasons(outcome) == ["insufficient_credits"] * (2_000 - 667)
    assert set(holds_in(outcome)) == {f"h{number}" for number in range(667)}
    row = accounts_in(outcome.rows)["a"]
    assert sum(one.held for one in row.grants) == 667 * 1_500_000_000
    assert format_units(row.available, 9) == "0.25"


_CALL = st.tuples(
    st.sampled_from(("place", "place", "capture", "release", "line")),
    st.integers(0, 5),
    st.sampled_from(("1", "3", "4.5")),
)


@settings(max_examples=60)
@given(calls=st.lists(_CALL, min_size=10, max_size=60), edges=st.lists(st.integers(1, 60)))
def test_no_two_callers_spend_the_same_credit(
    calls: Sequence[tuple[str, int, str]], edges: Sequence[int]
) -> None:
    """Whatever callers do at once: what was captured and drawn is never more than there was."""
    rows = [account(alerts=[], overage={"mode": "block"}), grant("g", "10")]
    for number, (what, which, amount) in enumerate(calls):
        when, hold, name = T + number, f"h{which}", f"c{number}"
        made = {
            "place": place(hold, amount, when),
            "capture": capture(hold, when, name),
            "release": release(hold, when, name),
            "line": line(when, "a", "p", amount),
        }
        rows.append(made[what])
    frame = rated(rows)
    outcome, by_columns = drawn_by_reference(frame), drawn_by_columns(cuts(frame, edges))
    assert outcome.rows == by_columns.rows
    assert outcome.ledger.equals(by_columns.ledger)
    holds = holds_in(outcome).values()
    [only] = accounts_in(outcome.rows)["a"].grants
    open_holds = sum(hold.amount for hold in holds if hold.ended_at is None)
    lines = outcome.ledger.filter(outcome.ledger.get_column("posting") == "consumed")
    drawn_by_lines = lines.filter(lines.get_column("source").is_not_null())
    spent = sum(amount for amount in drawn_by_lines.get_column("amount").to_physical())
    assert only.consumed == spent + sum(hold.captured for hold in holds)
    assert only.held == open_holds <= only.remaining == 10 * 10**9 - only.consumed


def test_the_same_command_again_changes_nothing_whatever_came_after() -> None:
    """Each of the three, and a retry after the hold has ended otherwise."""
    first = [account(alerts=[]), grant("g", "9"), place("one", "2"), capture("one", amount="1")]
    again = [place("one", "2", T + 5), capture("one", T + 5, amount="1")]
    once, twice = drawn(*first), drawn(*first, *again)
    assert postings(once) == postings(twice)
    assert reasons(twice) == []
    freed = [*first[:3], release("one"), release("one"), capture("one", name="r")]
    assert reasons(drawn(*freed)) == ["hold_ended"]


def test_rows_of_before_holds_are_read_and_keep_their_bytes() -> None:
    """A version 2 row, as the release before this one wrote it; with a hold it is version 3."""
    old = (
        b'[2,"b","a",1772323200000000,[7000000000,3000000000],[0,0,3000000000,0,0,0],[],'
        b'[null,1,[0,0,null],[["g",2,10000000000,0,0,0,0,null]],'
        b'[["*",null,null,0,0,1,1772323200000000,1772323200000000,[],0,0,null,{},{},null],'
        b'["",null,null,0,10000000000,0,0,null,[],0,0,null,{},{},null]],[],[],[]]]'
    )
    row = decode_row(old)
    assert isinstance(row, BalanceRow)
    assert (row.grants[0].held, row.grants[0].free, row.holds_until) == (0, 7_000_000_000, None)
    assert encode_row(row) == old
    row.settled, row.holds_until, row.grants[0].held = None, T, 5
    raw = encode_row(row)
    assert json.loads(raw)[0] == 3
    assert decode_row(raw) == row


@pytest.mark.parametrize("version", [1, 4])
def test_a_row_of_another_version_is_not_read(version: int) -> None:
    """Neither older than is known nor newer."""
    with pytest.raises(ReleaseError):
        decode_row(b'[%d,"m","d"]' % version)


def test_a_hold_is_read_as_of_the_last_that_happened_to_its_account() -> None:
    """Its amounts and times; a day after it ended it is none, though its row may be there."""
    rows = [account(alerts=[]), grant("g", "3"), grant("h", "3"), place("one", "5")]
    rows.append(capture("one", T + 1, amount="3.5"))
    outcome = drawn(*rows)
    hold = decode_hold("a", "one", outcome.rows.get)
    assert hold is not None
    assert summarise_hold("one", hold) == {
        "id": "one",
        "state": "captured",
        "product": "p",
        "contract": None,
        "amount": "5",
        "captured": "3.5",
        "slices": [{"grant": "g", "amount": "3"}, {"grant": "h", "amount": "2"}],
        "placed_at": "2026-03-01T00:00:00Z",
        "expires_at": "2026-03-01T00:15:00Z",
        "ended_at": "2026-03-01T00:00:00.000001Z",
    }
    assert decode_hold("a", "two", outcome.rows.get) is None
    later = drawn(*rows, line(T + 1 + DAY, "a", "p", "1"))
    assert "one" in holds_in(later)
    assert decode_hold("a", "one", later.rows.get) is None
