"""Voids, replays and backfills, by hand; the reference and the columns agree."""

import json
from typing import Any, Final

import pytest

from processors.rating.rated import Rated
from processors.rating.reference import ReferenceRating
from projections.rates.rows import decode_row, encode_row
from projections.rows import MemoryReader, Rows
from schemas.frames import RatedKind
from schemas.times import format_instant
from tests.processors.rating_outcomes import outcome
from tests.rating import at, document, journal, usage, voided_line

NOW: Final = at("2026-03-15T12:00:00Z")
TIERS: Final = [{"up_to": "10", "unit_price": "1"}, {"unit_price": "0.5", "flat": "2"}]
GRADUATED: Final = {"model": "graduated", "tiers": TIERS}
ACCOUNT: Final = {"kind": "Account", "id": "a", "rate_card": "standard"}


def product(name: str = "p", **meter: Any) -> dict[str, Any]:
    """A product that sums `n` of `call`."""
    fields = {"event_type": "call", "aggregation": "sum", "value": "n", **meter}
    return {"kind": "Product", "id": name, "meter": fields}


def card(price: dict[str, Any], *names: str) -> dict[str, Any]:
    """One price for each product."""
    rates = [{"product": name, "price": price} for name in names or ("p",)]
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": rates}
    return {"kind": "RateCard", "id": "standard", "versions": [version]}


def start(price: dict[str, Any] = GRADUATED, **meter: Any) -> list[dict[str, Any]]:
    """A journal's begin: the product, its price, the account."""
    return [document(NOW, fields) for fields in (product(**meter), card(price), ACCOUNT)]


def event(name: str, n: Any, **fields: Any) -> dict[str, Any]:
    """Usage of n."""
    return usage(NOW, "a", {"n": n}, id=name, **fields)


def command(kind: str, name: str = "1", **fields: Any) -> dict[str, Any]:
    """A command's row of the journal."""
    return document(NOW, {"kind": kind, "id": name, "account": "a", **fields})


def replay(name: str, number: str = "1", product: str | None = None) -> dict[str, Any]:
    """The replay of an event."""
    return command("replay", number, source="test", event=name, product=product)


def backfill(name: str, n: Any, number: str = "1", **fields: Any) -> dict[str, Any]:
    """The backfill of an event of January."""
    content = {
        "specversion": "1.0",
        "id": name,
        "source": "test",
        "type": "call",
        "subject": "a",
        "time": "2026-01-10T00:00:00Z",
        "data": {"n": n},
        **fields,
    }
    return command("backfill", number, event=json.dumps(content))


def void(rows: list[dict[str, Any]], name: str, number: str = "1", **fields: Any) -> dict[str, Any]:
    """The void of an event, with the lines that `rows` have made of it."""
    model = ReferenceRating(Rows(MemoryReader(), encode_row, decode_row))
    rated = [line for row in journal(rows).iter_rows(named=True) for line in model.rate(row)]
    lines = [line for line in rated if line.id == name and line.kind == RatedKind.LINE]
    time = {"time": format_instant(lines[0].time or 0)} if lines else {}
    found = {"lines": [{**voided_line(line), **fields} for line in lines], **time}
    return command("void_usage", number, source="test", event=name, **found)


def shown(row: dict[str, Any]) -> tuple[Any, ...]:
    """A row in short: (event, product, cost) of a line, (event, product, reason) of another."""
    if row["kind"] == RatedKind.LINE:
        return row["id"], row["product"], f"{row['cost'].normalize():f}"
    return row["id"], row["product"], row["reason"]


def after(begin: list[dict[str, Any]], *rows: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What `rows` come to after the rows of `begin`."""
    return [
        shown(row)
        for row in outcome(*begin, *rows)
        if row["journal_offset"] * 3 + row["row"] >= len(begin)
    ]


def test_a_void_takes_back_what_the_keys_quantity_costs_now() -> None:
    """C(15) = 14.5 and C(11) = 12.5: voiding 4 of the first tier returns 2."""
    begin = [*start(), event("e1", 4), event("e2", 11)]
    [row] = [row for row in outcome(*begin, void(begin, "e1")) if row["mirror"] is not None]
    amounts = (row["quantity"], f"{row['cost'].normalize():f}", row["before"])
    assert amounts == (-4, "-2", 15)
    assert (row["source"], row["id"], row["time"], row["match"]) == ("test", "e1", NOW, "{}")
    drawn = {"overage": 4 * 10**9, "short": 4 * 10**9, "slices": []}
    assert json.loads(row["mirror"]) == drawn
    assert after(begin, void(begin, "e1"), event("e3", 4)) == [("e1", "p", "-2"), ("e3", "p", "2")]


@pytest.mark.parametrize(
    ("price", "cost"),
    [({"model": "unit", "unit_price": "3"}, "-12"), ({"model": "flat", "price": "3"}, "-3")],
)
def test_a_void_of_a_unit_or_flat_price_returns_the_cost(price: dict[str, Any], cost: str) -> None:
    begin = [*start(price), event("e1", 4)]
    assert after(begin, void(begin, "e1")) == [("e1", "p", cost)]


def test_a_void_leaves_the_maximum_and_what_was_seen() -> None:
    """Neither comes again as a rise."""
    begin = [*start(aggregation="max"), event("e1", 4)]
    assert after(begin, void(begin, "e1"), event("e2", 4)) == [("e1", "p", "-4"), ("e2", "p", "0")]
    begin = [*start(aggregation="unique"), event("e1", 4)]
    assert after(begin, void(begin, "e1"), event("e2", 4)) == [("e1", "p", "-1"), ("e2", "p", "0")]


def test_voiding_twice_changes_nothing() -> None:
    """By the same command or another."""
    begin = [*start(), event("e1", 4)]
    twice = [void(begin, "e1"), void(begin, "e1"), void(begin, "e1", "2")]
    assert after(begin, *twice) == [("e1", "p", "-4")]


def test_what_cannot_be_voided_is_refused() -> None:
    """Usage without lines, more than there is, a price that is none; the same id otherwise."""
    begin = [*start(), event("e1", 4)]
    assert after(begin, void(begin, "none")) == [(None, None, "unknown_usage")]
    for fields in ({"quantity": "5"}, {"price": "x"}, {"price": None}, {"quantity": "-1"}):
        assert after(begin, void(begin, "e1", **fields)) == [(None, None, "invalid_document")]
    found = after(begin, void(begin, "e1"), void(begin, "none"))
    assert found == [("e1", "p", "-4"), (None, None, "conflict")]


def test_a_replay_prices_what_waits_once() -> None:
    """At its event time, with its bytes; a second one is refused."""
    waiting = event("e1", 4, time=at("2026-02-10"))
    begin = [document(NOW, ACCOUNT), waiting]
    begin += [document(NOW, fields) for fields in (product(), card(GRADUATED))]
    rows = outcome(*begin, replay("e1"))
    assert [shown(row) for row in rows if row["id"]] == [
        ("e1", None, "no_product"),
        ("e1", "p", "4"),
    ]
    assert (rows[-1]["time"], rows[-1]["period"]) == (at("2026-02-10"), at("2026-02-01"))
    found = after(begin, replay("e1"), replay("e1"), replay("e1", "2"), replay("e1", "3", "p"))
    assert found == [("e1", "p", "4")] + [(None, None, "already_rated")] * 2


def test_a_replay_of_one_product_leaves_the_others_waiting() -> None:
    """What has still no price says so, and can be replayed again."""
    begin = [document(NOW, f) for f in (product(), product("q"), ACCOUNT)]
    begin.append(event("e1", 4))
    rows = [
        replay("e1"),
        document(NOW, card(GRADUATED, "p")),
        replay("e1", "2", "q"),
        replay("e1", "3", "p"),
        replay("e1", "4", "p"),
        replay("e1", "5", "none"),
    ]
    found = after(begin, *rows)
    assert found == [
        ("e1", "p", "unknown_rate_card"),
        ("e1", "q", "unknown_rate_card"),
        ("e1", "q", "no_rate"),
        ("e1", "p", "4"),
        (None, None, "already_rated"),
        (None, None, "unknown_usage"),
    ]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "unknown_usage"),
        ([event("e1", 4)], "unknown_usage"),
        ([event("e1", -4)], "unknown_usage"),
        ([event("e1", "x")], "bad_value"),
    ],
)
def test_a_replay_needs_something_that_waits(rows: list[dict[str, Any]], reason: str) -> None:
    begin = [*start(), *rows]
    assert [row[2] for row in after(begin, replay("e1"))] == [reason]


def test_a_replay_that_finds_a_negative_value_is_refused() -> None:
    """The product that meters it now came later; the event goes on waiting."""
    begin = [document(NOW, ACCOUNT), event("e1", -4), *start()]
    found = after(begin, replay("e1"), replay("e1"))
    assert found == [(None, None, "negative_quantity")] * 2


def test_what_waits_of_voided_usage_is_never_priced() -> None:
    """The event fed two products; one of them was priced, and voided."""
    begin = [document(NOW, f) for f in (product(), product("q"), card(GRADUATED), ACCOUNT)]
    begin.append(event("e1", 4))
    rows = [void(begin, "e1"), document(NOW, card(GRADUATED, "p", "q")), replay("e1")]
    assert after(begin, *rows) == [("e1", "p", "-4"), (None, None, "unknown_usage")]


def test_a_backfill_is_rated_at_its_event_time_once() -> None:
    """In January's quantity; the same event again is a duplicate, another of its key a conflict."""
    begin = [*start(), event("e1", 10)]
    rows = [
        backfill("old", 4),
        backfill("old", 4),
        backfill("old", 4, "2"),
        backfill("old", 5, "3"),
        backfill("old", 5),
        backfill("older", 7, "4"),
    ]
    assert after(begin, *rows) == [
        ("old", "p", "4"),
        (None, None, "duplicate"),
        (None, None, "conflict"),
        (None, None, "conflict"),
        ("older", "p", "8.5"),
    ]


def test_usage_that_was_backfilled_is_refused_when_it_comes_by_the_usual_way() -> None:
    """The same content is a duplicate, another a conflict; events beside it are priced."""
    begin = [*start(), backfill("old", 4)]
    assert after(begin, event("old", 4), event("old", 5), event("new", 4)) == [
        ("old", None, "duplicate"),
        ("old", None, "conflict"),
        ("new", "p", "4"),
    ]


def test_a_backfill_that_has_no_price_waits() -> None:
    """It can be replayed; until then it is there."""
    begin = [document(NOW, fields) for fields in (product(), ACCOUNT)]
    rows = [
        backfill("old", 4),
        backfill("old", 4, "2"),
        document(NOW, card(GRADUATED)),
        replay("old"),
    ]
    assert after(begin, *rows) == [
        ("old", "p", "unknown_rate_card"),
        (None, None, "duplicate"),
        ("old", "p", "4"),
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"subject": "b"}, "invalid_document"),
        ({"time": "yesterday"}, "invalid_envelope"),
        ({"specversion": "0.3"}, "unsupported"),
        ({"data": {"n": -1}}, "negative_quantity"),
    ],
)
def test_a_backfill_is_examined_like_usage(fields: dict[str, Any], reason: str) -> None:
    """What is refused has claimed nothing."""
    found = after(start(), backfill("old", 4, **fields), backfill("old", 4))
    assert found == [(None, None, reason), ("old", "p", "4")]


def test_a_backfill_names_a_contract() -> None:
    terms = {"kind": "Contract", "id": "k", "account": "a", "starts_at": "2026-01-01T00:00:00Z"}
    begin = [*start(), document(NOW, {**terms, "covers": {"products": ["p"]}})]
    begin.append(document(NOW, {**terms, "id": "other"}))
    row = outcome(*begin, backfill("old", 4, contract="other"))[-1]
    assert (row["contract"], row["named"]) == ("other", True)


def test_rows_of_the_plain_rating_have_the_columns_of_the_log() -> None:
    """In their order, so that they can be written down as they are."""
    from schemas.frames import RATED_SCHEMA

    assert list(Rated.__slots__) == list(RATED_SCHEMA)
