"""Tiered prices in columns cost what they cost one at a time, or are left to that."""

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.rating.curves import curve_of
from processors.rating.lines import Decision
from processors.rating.tiers import TIERED, tiered_costs, tiered_row
from projections.pricing import ONE, QUANTITY_LIMIT, Price, PriceTier, line_cost
from schemas.frames import RatedKind

amount = st.one_of(st.integers(0, 3), st.integers(0, 10**12), st.integers(0, 10**30))
quantity = st.one_of(st.integers(0, 30), st.integers(0, 10**18), st.integers(0, QUANTITY_LIMIT))


@st.composite
def prices(draw: st.DrawFn) -> Price:
    """A tiered price of up to five tiers, sometimes multiplied."""
    ends = draw(st.lists(st.integers(1, 10**19), unique=True, max_size=4).map(sorted))
    tiers = [PriceTier(end, draw(amount), draw(amount)) for end in [*ends, None]]
    factor = draw(st.sampled_from((ONE, 900_000_000, 333_333_333, 0, 7 * ONE)))
    model: Any = draw(st.sampled_from(("graduated", "volume")))
    return Price(model, tiers=tuple(tiers), multiplier=factor)


@settings(max_examples=400)
@given(
    choice=st.lists(prices(), min_size=1, max_size=3),
    lines=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), quantity), min_size=1),
    totals=st.lists(st.integers(0, 10**18), min_size=3, max_size=3),
)
def test_columns_cost_what_single_lines_cost(
    choice: list[Price], lines: list[tuple[int, int, int]], totals: list[int]
) -> None:
    rows = [tiered_row(Decision(RatedKind.LINE, price=p, aggregation="sum")) for p in choice]
    table = pl.DataFrame(rows, schema=TIERED, orient="row")
    codes = [code % len(choice) for code, _, _ in lines]
    terms = table[codes]
    if terms.get_column("reach").null_count():
        return
    slots, quantities = [slot for _, slot, _ in lines], [units for _, _, units in lines]
    found = tiered_costs(terms, slots, quantities, totals)
    running, expected = list(totals), []
    for code, slot, units in zip(codes, slots, quantities, strict=True):
        expected.append((line_cost(choice[code], units, running[slot]), running[slot]))
        running[slot] += units
    if found is None:
        assert max(running) > min(terms.get_column("reach"))
        return
    cost, before, ends = found
    assert list(zip(cost, before, strict=True)) == expected
    assert {slot: running[slot] for slot in set(slots)} == dict(ends)


@given(price=prices(), total=quantity)
def test_a_curve_is_the_cost_from_nothing(price: Price, total: int) -> None:
    cost = line_cost(price, total, 0)
    if cost is not None:
        assert curve_of(price)(total) == cost
