"""What the ledger recorded of a usage is what its void carries."""

from typing import Any

import polars as pl

from projections.balances.postings import ISSUED, Posting, ledger_frame
from projections.balances.recorded import as_recorded, lines_of, recorded_lines
from schemas.documents import VoidUsage, canonical, parse_document
from schemas.numbers import Credits, Quantity
from schemas.times import parse_instant

NOW = parse_instant("2026-01-10T00:00:00Z")
UNIT = 10**9
COMMAND = VoidUsage(id="v1", account="acme", source="api", event="e1")


def line(product: str = "calls", **changes: Any) -> dict[str, Any]:
    """What a rated line of event e1 says, 3 units for 6 credits."""
    return {
        "source": "api",
        "id": "e1",
        "time": NOW,
        "product": product,
        "contract": "k",
        "named": True,
        "revision": 2,
        "override": 0,
        "rate_card": "standard",
        "version": 1,
        "match": "{}",
        "period": NOW,
        "price": '{"model":"unit","per":"1","unit_price":"2"}',
        "quantity": 3 * UNIT,
        "cost": 6 * UNIT,
        "entities": '[["l",null,"team-a"]]',
    } | changes


def ledger(*postings: tuple[int, str, str | None, int, dict[str, Any] | None]) -> pl.DataFrame:
    """Postings of account acme: (journal offset, posting, grant, credits, line)."""
    return ledger_frame(
        [
            Posting(offset, 1, number, NOW, "acme", kind, grant, amount * UNIT, of)
            for number, (offset, kind, grant, amount, of) in enumerate(postings)
        ]
    )


def test_a_line_is_recorded_with_its_slices_in_order_and_its_overage() -> None:
    postings = ledger(
        (1, ISSUED, "g1", 9, None),
        (2, "reopened", "g1", 1, line()),
        (2, "consumed", "g2", 2, line()),
        (2, "overage", None, 3, line()),
    )
    (found,) = recorded_lines(postings, "acme", "api", "e1")
    assert (found.product, found.contract, found.revision, found.override) == ("calls", "k", 2, 0)
    assert (found.rate_card, found.version, found.match) == ("standard", 1, "{}")
    assert (found.period, found.entities) == (NOW, '[["l",null,"team-a"]]')
    assert found.price == '{"model":"unit","per":"1","unit_price":"2"}'
    assert (found.quantity, found.cost) == (Quantity.parse("3"), Credits.parse("6"))
    assert found.overage == Credits.parse("3")
    assert [(part.grant, str(part.amount)) for part in found.slices] == [("g1", "1"), ("g2", "2")]


def test_a_free_line_is_recorded_without_slices() -> None:
    free = line(cost=0, quantity=0)
    (found,) = recorded_lines(ledger((2, "consumed", None, 0, free)), "acme", "api", "e1")
    assert (found.slices, str(found.overage), str(found.quantity)) == ((), "0", "0")


def test_each_product_has_one_line_and_its_void_is_none() -> None:
    """Chat was priced later, by a replay; a void of nothing has quantity 0 as well."""
    nothing = line("seats", cost=0, quantity=0)
    postings = ledger(
        (2, "consumed", "g1", 6, line()),
        (2, "consumed", None, 0, nothing),
        (3, "consumed", "g1", 1, line("chat")),
        (4, "consumed", "g1", -6, line(cost=-6 * UNIT, quantity=-3 * UNIT)),
        (4, "consumed", None, 0, nothing),
    )
    found = recorded_lines(postings, "acme", "api", "e1")
    assert [(each.product, str(each.quantity)) for each in found] == [
        ("calls", "3"),
        ("seats", "0"),
        ("chat", "3"),
    ]


def test_what_is_of_another_usage_is_not_found() -> None:
    postings = ledger(
        (2, "consumed", "g1", 6, line(source="other")),
        (3, "consumed", "g1", 6, line(id="e2")),
        (4, "consumed", "g1", 6, line("seats", id="base@2026-01-01", source=None)),
    )
    assert recorded_lines(postings, "acme", "api", "e1") == ()
    assert recorded_lines(postings, "other", "api", "e2") == ()
    nothing = as_recorded(COMMAND, postings)
    assert (nothing.lines, nothing.time) == ((), None)


def test_a_void_carries_the_time_and_the_lines_of_its_usage() -> None:
    postings = ledger((2, "consumed", "g1", 6, line()))
    filled = as_recorded(COMMAND, postings)
    assert (filled.time, len(filled.lines)) == (NOW, 1)
    assert parse_document(canonical(filled)) == filled


def test_fees_of_one_record_are_lines_of_their_own_in_log_order() -> None:
    fees = [
        line("support", id=name, source=None, contract=contract)
        for name, contract in (("b@2026-01-01", "k"), ("b@2026-01-01", "j"), ("a@2026-01-02", "k"))
    ]
    found = lines_of(ledger(*((7, "consumed", "g", 1, fee) for fee in fees)))
    assert [(each.row["id"], each.row["contract"]) for each in found] == [
        ("b@2026-01-01", "k"),
        ("b@2026-01-01", "j"),
        ("a@2026-01-02", "k"),
    ]
