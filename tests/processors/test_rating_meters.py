"""Aggregations, filters and tiers, by hand; the reference and the columns agree."""

from collections.abc import Sequence
from typing import Any, Final

import pytest

from schemas.frames import RatedKind
from tests.processors.rating_outcomes import outcome
from tests.rating import at, document, usage

NOW: Final = at("2026-03-15T12:00:00Z")
UNIT: Final = {"model": "unit", "unit_price": "1"}


def rated(
    meter: dict[str, Any], price: dict[str, Any], events: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of usage with these `data`, of one product `p`; `day` in it is of March."""
    product = {"kind": "Product", "id": "p", "meter": {"event_type": "call", **meter}}
    rates = [{"product": "p", "price": price}]
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": rates}
    card = {"kind": "RateCard", "id": "standard", "versions": [version]}
    account = {"kind": "Account", "id": "a", "rate_card": "standard"}
    found = outcome(
        *(document(NOW, fields) for fields in (product, card, account)),
        *(usage(NOW, "a", data, time=at(f"2026-{data.get('month', '03')}-10")) for data in events),
    )
    return [row for row in found if row["id"] is not None]


def amounts(
    meter: dict[str, Any], price: dict[str, Any], *events: dict[str, Any], name: str = "quantity"
) -> list[str]:
    """Of each row its quantity (or another amount), or its reason."""
    return [
        f"{row[name].normalize():f}" if row["kind"] == RatedKind.LINE else row["reason"]
        for row in rated(meter, price, events)
    ]


def of(*values: Any) -> list[dict[str, Any]]:
    """Events with a value `n`."""
    return [{"n": value} for value in values]


MAX: Final = {"aggregation": "max", "value": "n"}
UNIQUE: Final = {"aggregation": "unique", "value": "n"}


def test_max_is_the_rise_of_the_periods_maximum() -> None:
    """From 0 in each period; a line without a rise has quantity 0."""
    events = [*of(3, 5, 4, 5, "5.5"), {"n": 2, "month": "02"}, *of(0, "x")]
    assert amounts(MAX, UNIT, *events) == ["3", "2", "0", "0", "0.5", "2", "0", "bad_value"]


def test_a_negative_maximum_refuses_the_event() -> None:
    assert amounts(MAX, UNIT, *of(3, -1, 4)) == ["3", "negative_quantity", "1"]


def test_unique_is_the_first_sight_of_a_scalar() -> None:
    """By its text, in each period; what is no scalar has no text."""
    events = [*of("u", 1, "1", 1.5, "1.5", "u"), {"n": "u", "month": "02"}]
    assert amounts(UNIQUE, UNIT, *events) == ["1", "1", "0", "1", "0", "0", "1"]
    assert amounts(UNIQUE, UNIT, *of(None, [1], {"a": 1}), {}) == ["bad_value"] * 4
    assert amounts(UNIQUE, UNIT, *of("-1", -1)) == ["1", "0"]


def test_a_line_beyond_the_limits_moves_nothing() -> None:
    """What it saw and its maximum are as if it had not come."""
    price = {"model": "unit", "unit_price": "1000000000000000000"}
    found = amounts(MAX, price, *of(2, 1, 2))
    assert found == ["cost_out_of_range", "1", "1"]
    price = {"model": "flat", "price": "1"}
    assert amounts(UNIQUE, price, *of("u", "u"), name="cost") == ["1", "1"]


@pytest.mark.parametrize(
    ("data", "metered"),
    [
        ({"kind": "chat", "deep": {"on": True}}, True),
        ({"kind": "chat", "deep": {"on": "true"}}, True),
        ({"kind": "chat", "deep": {"on": False}}, False),
        ({"kind": "chat"}, False),
        ({"kind": "Chat", "deep": {"on": True}}, False),
        ({}, False),
    ],
)
def test_a_filter_says_which_events_are_metered(data: dict[str, Any], metered: bool) -> None:
    meter = {"aggregation": "count", "filter": {"kind": "chat", "deep.on": "true"}}
    assert amounts(meter, UNIT, data) == ["1" if metered else "no_product"]


def test_a_value_that_a_filter_leaves_out_refuses_nothing() -> None:
    """It is not metered."""
    meter = {"aggregation": "sum", "value": "n", "filter": {"kind": "chat"}}
    events = [{"n": -1, "kind": "x"}, {"n": -1, "kind": "chat"}]
    assert amounts(meter, UNIT, *events) == ["no_product", "negative_quantity"]


TIERS: Final = [
    {"up_to": "10", "unit_price": "1"},
    {"up_to": "20", "unit_price": "0.5", "flat": "3"},
    {"unit_price": "0.1"},
]
SUM: Final = {"aggregation": "sum", "value": "n"}


def test_graduated_tiers_price_each_part() -> None:
    """10 at 1; then 3 at once and 10 at 0.5; the rest at 0.1. The last tier has no flat."""
    price = {"model": "graduated", "tiers": TIERS}
    assert amounts(SUM, price, *of(10, 1, 9, 10), name="cost") == ["10", "3.5", "4.5", "1"]
    assert amounts(SUM, price, *of(30), name="cost") == ["19"]
    assert amounts(SUM, price, *of(4, 3), name="before") == ["0", "4"]


def test_volume_prices_all_by_the_reached_tier() -> None:
    """10 cost 10; 11 cost 3 + 5.5; 20 cost 13; 21 cost 2.1 in all, so 10.9 return."""
    price = {"model": "volume", "tiers": TIERS}
    assert amounts(SUM, price, *of(10, 1, 9, 1), name="cost") == ["10", "-1.5", "4.5", "-10.9"]


def test_a_quantity_is_kept_where_another_version_is_cumulative() -> None:
    """What came at a unit price counts when the graduated one takes effect (rule 3.26)."""
    product = {"kind": "Product", "id": "p", "meter": {"event_type": "call", **SUM}}
    prices = [UNIT, {"model": "graduated", "tiers": TIERS}]
    versions = [
        {
            "version": number,
            "effective_from": f"2026-03-{number:02}T00:00:00Z",
            "rates": [{"product": "p", "price": price}],
        }
        for number, price in enumerate(prices, 1)
    ]
    card = {"kind": "RateCard", "id": "standard", "versions": versions}
    account = {"kind": "Account", "id": "a", "rate_card": "standard"}
    times = ("2026-03-01", "2026-03-02")
    found = outcome(
        *(document(NOW, fields) for fields in (product, card, account)),
        *(usage(NOW, "a", {"n": 10}, time=at(time)) for time in times),
    )
    assert [(row["cost"], row["before"]) for row in found[-2:]] == [(10, None), (8, 10)]


def test_products_and_packs_are_passed_on() -> None:
    """Balances follow their tags and prices; rate cards concern rating alone."""
    product = {"kind": "Product", "id": "p", "meter": {"event_type": "call", **SUM}}
    pack = {"kind": "Pack", "id": "k", "amount": "5", "price": {"amount": "1", "currency": "EUR"}}
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": []}
    card = {"kind": "RateCard", "id": "standard", "versions": [version]}
    rows = [document(NOW, fields) for fields in (product, pack, card)]
    found = [(row["kind"], row["account"], row["data"]) for row in outcome(*rows)]
    assert found == [(RatedKind.DOCUMENT, None, row["data"]) for row in rows[:2]]
