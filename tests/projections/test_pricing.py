"""What a line costs: numbers worked out by hand, and a plain reference in fractions."""

import json
from fractions import Fraction
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from projections.pricing import (
    COST_LIMIT,
    Price,
    compile_price,
    line_cost,
    price_of_text,
    price_text,
    void_cost,
)
from schemas.documents import PriceModel
from schemas.numbers import Quantity, format_units, parse_units

Tiers = list[tuple[str | None, str, str]]
_MODEL: TypeAdapter[PriceModel] = TypeAdapter(PriceModel)


def model_of(model: str, **fields: Any) -> PriceModel:
    """A price model as a document writes it."""
    return _MODEL.validate_python({"model": model, **fields})


def tiered_model(model: str, tiers: Tiers) -> PriceModel:
    """`graduated` or `volume` with tiers of (up_to, unit_price, flat)."""
    return model_of(
        model,
        tiers=[
            {"unit_price": price, "flat": flat} | ({} if up_to is None else {"up_to": up_to})
            for up_to, price, flat in tiers
        ],
    )


def times(multiplier: str | None) -> Quantity | None:
    """A multiplier."""
    return None if multiplier is None else Quantity.parse(multiplier)


def unit(price: str, per: str = "1", multiplier: str | None = None) -> Price:
    """`price` for each `per`."""
    return compile_price(model_of("unit", unit_price=price, per=per), times(multiplier))


def flat(price: str, multiplier: str | None = None) -> Price:
    """`price` for each event."""
    return compile_price(model_of("flat", price=price), times(multiplier))


def package(size: str, price: str, multiplier: str | None = None) -> Price:
    """`price` for each started package of `size`."""
    return compile_price(model_of("package", size=size, price=price), times(multiplier))


def tiered(model: str, tiers: Tiers, multiplier: str | None = None) -> Price:
    """A compiled `graduated` or `volume` price."""
    return compile_price(tiered_model(model, tiers), times(multiplier))


# 100 at 1, then 100 at 0.5 once 10 is paid, then 0.25 once 20 is paid.
TIERS: Tiers = [("100", "1", "0"), ("200", "0.5", "10"), (None, "0.25", "20")]
GRADUATED = tiered("graduated", TIERS)
VOLUME = tiered("volume", TIERS)
WITH_ENTRY = tiered("graduated", [("10", "0", "5"), (None, "1", "0")])
VOLUME_WITH_ENTRY = tiered("volume", [("10", "0", "5"), (None, "1", "0")])
# All is free beyond a first tier of up to 10^18 credits, and of a little more.
FREE_AFTER_A_LIMIT = tiered("volume", [("1000000000", "1000000000", "0"), (None, "0", "0")])
FREE_AFTER_MORE = tiered("volume", [("1000000001", "1000000000", "0"), (None, "0", "0")])


@pytest.mark.parametrize(
    ("price", "quantity", "before", "cost"),
    [
        (unit("0.000002"), "1500", "0", "0.003"),
        (unit("2.5", per="1000"), "1", "0", "0.0025"),
        (unit("1", per="3"), "1", "0", "0.333333333"),
        (unit("1", per="3"), "2", "0", "0.666666667"),
        (unit("0.0000000005"), "1", "0", "0"),  # half a unit: to even
        (unit("0.0000000005"), "3", "0", "0.000000002"),
        (unit("0.0000000005"), "5", "0", "0.000000002"),
        (unit("0.000000000001", per="0.001"), "1", "0", "0.000000001"),
        (unit("7"), "0", "0", "0"),
        (flat("3"), "12.5", "0", "3"),
        (flat("0.0000000005"), "1", "0", "0"),
        (flat("0.0000000015"), "1", "0", "0.000000002"),
        (package("7", "1.5"), "7", "0", "1.5"),
        (package("7", "1.5"), "8", "0", "3"),
        (package("7", "1.5"), "1", "7", "1.5"),
        (package("7", "1.5"), "6", "8", "0"),
        (package("7", "1.5"), "0", "8", "0"),
        (package("0.5", "2"), "0.000000001", "0.5", "2"),
        (unit("1000000000000000000"), "1", "0", "1000000000000000000"),
        (unit("1000000000000000000"), "1.000000001", "0", None),
        (package("1", "0"), "1", "1000000000000000000", None),
        (package("1", "1000000000000000000"), "2", "0", None),
        # A multiplier is exact, and the product is rounded once.
        (unit("2", multiplier="0.8"), "10", "0", "16"),
        (unit("2", multiplier="0"), "10", "0", "0"),
        (unit("0.0000000005", multiplier="3"), "1", "0", "0.000000002"),  # 1.5, not 0 times 3
        (unit("1", per="3", multiplier="3"), "1", "0", "1"),
        (flat("5", multiplier="1.1"), "2", "0", "5.5"),
        (package("7", "1.5", multiplier="0.5"), "8", "0", "1.5"),
        (tiered("graduated", TIERS, "0.5"), "150", "0", "67.5"),
        (tiered("volume", TIERS, "2"), "50", "100", "-30"),
        (unit("1", multiplier="2"), "1000000000000000000", "0", None),
        # Graduated: C(100) = 100, C(200) = 100 + 50 + 10 = 160, C(300) = 160 + 25 + 20 = 205.
        (GRADUATED, "0", "0", "0"),
        (GRADUATED, "40", "0", "40"),
        (GRADUATED, "100", "0", "100"),
        (GRADUATED, "1", "100", "10.5"),
        (GRADUATED, "300", "0", "205"),
        (GRADUATED, "150", "150", "70"),
        (GRADUATED, "0", "150", "0"),
        (WITH_ENTRY, "0", "0", "0"),
        (WITH_ENTRY, "0.000000001", "0", "5"),
        (WITH_ENTRY, "10", "1", "1"),
        # Volume: C(100) = 100, C(200) = 100 + 10 = 110, C(300) = 75 + 20 = 95.
        (VOLUME, "0", "0", "0"),
        (VOLUME, "100", "0", "100"),
        (VOLUME, "50", "100", "-15"),  # 150 at 0.5 and 10 is 85
        (VOLUME, "100", "200", "-15"),
        (VOLUME, "0", "150", "0"),
        (VOLUME_WITH_ENTRY, "0", "0", "0"),
        (VOLUME_WITH_ENTRY, "10", "0", "5"),
        (VOLUME_WITH_ENTRY, "1", "10", "6"),
        (FREE_AFTER_A_LIMIT, "1", "1000000000", "-1000000000000000000"),
        (FREE_AFTER_MORE, "1", "1000000001", None),
        (GRADUATED, "1", "1000000000000000000", None),
    ],
)
def test_a_line_costs(price: Price, quantity: str, before: str, cost: str | None) -> None:
    """Rounded once, half-even; a cumulative price depends on what came before."""
    found = line_cost(price, parse_units(quantity, 9), parse_units(before, 9))
    assert cost == (None if found is None else format_units(found, 9))


@pytest.mark.parametrize(
    ("price", "quantity", "total", "cost", "void"),
    [
        (unit("1", per="3"), "1", "0", "0.333333333", "-0.333333333"),
        (flat("3"), "1", "0", "3", "-3"),
        (package("7", "1.5"), "2", "8", "0", "-1.5"),  # 6 are left: one package
        (package("7", "1.5"), "1", "8", "1.5", "-1.5"),
        (GRADUATED, "100", "300", "100", "-45"),  # 160 - 205: the dearest part is gone first
        (GRADUATED, "300", "300", "205", "-205"),
        (VOLUME, "50", "150", "-15", "15"),  # 100 - 85
        (tiered("volume", TIERS, "2"), "50", "150", "-30", "30"),
        (FREE_AFTER_MORE, "1", "1000000002", "0", None),
    ],
)
def test_the_void_of_a_line_costs(
    price: Price, quantity: str, total: str, cost: str, void: str | None
) -> None:
    """What was recorded, negative; of a cumulative price what the period is cheaper without it."""
    found = void_cost(price, parse_units(quantity, 9), parse_units(total, 9), parse_units(cost, 9))
    assert void == (None if found is None else format_units(found, 9))


def test_lines_of_a_period_sum_to_the_price_of_its_total() -> None:
    """However a total of 20 is cut: three packages of 7, each 0.0000000015, rounded as a sum."""
    price = package("7", "0.0000000015")
    for cut in ([20], [7, 7, 6], [1] * 20, [13, 0, 7]):
        before = cost = 0
        for quantity in cut:
            found = line_cost(price, quantity * 10**9, before)
            assert found is not None
            cost += found
            before += quantity * 10**9
        assert cost == 4  # 4.5 units, to even


PRICES = st.integers(0, 10**15).map(lambda units: format_units(units, 12))
SIZES = st.integers(1, 10**13).map(lambda units: format_units(units, 9))
QUANTITIES = st.integers(0, 10**13)
MULTIPLIERS = st.none() | st.integers(0, 3 * 10**9).map(Quantity)


@st.composite
def tier_lists(draw: st.DrawFn) -> Tiers:
    """One to five tiers."""
    ends = sorted(draw(st.sets(st.integers(1, 10**13), max_size=4)))
    ups = [*(format_units(end, 9) for end in ends), None]
    return [(up_to, draw(PRICES), draw(PRICES)) for up_to in ups]


PER_LINE = st.builds(
    lambda price, per: model_of("unit", unit_price=price, per=per), PRICES, SIZES
) | st.builds(lambda price: model_of("flat", price=price), PRICES)
CUMULATIVE = st.builds(
    lambda price, size: model_of("package", size=size, price=price), PRICES, SIZES
) | st.builds(tiered_model, st.sampled_from(["graduated", "volume"]), tier_lists())
MODELS = PER_LINE | CUMULATIVE


def reference(text: str, quantity: Fraction) -> Fraction:
    """C(quantity) in credits, not rounded, from the price as the log tells it."""
    content = json.loads(text)
    factor = Fraction(content.get("multiplier", "1"))
    if content["model"] == "flat":
        return factor * Fraction(content["price"])
    if content["model"] == "unit":
        return factor * quantity / Fraction(content["per"]) * Fraction(content["unit_price"])
    if content["model"] == "package":
        started = -(-quantity // Fraction(content["size"]))
        return factor * started * Fraction(content["price"])
    cost, lower = Fraction(0), Fraction(0)
    for tier in content["tiers"]:
        upper = Fraction(tier["up_to"]) if tier["up_to"] else quantity
        price, entry = Fraction(tier["unit_price"]), Fraction(tier["flat"])
        if quantity > lower and content["model"] == "volume":
            cost = quantity * price + entry  # of the last tier that is entered
        elif quantity > lower:
            cost += (min(quantity, upper) - lower) * price + entry
        lower = max(upper, lower)
    return factor * cost


def rounded(cost: Fraction) -> int:
    """Units of a cost in credits, half-even: Python's own rounding of an exact fraction."""
    return round(cost * 10**9)


@given(PER_LINE, MULTIPLIERS, QUANTITIES)
def test_a_line_costs_its_rounded_price(
    model: PriceModel, multiplier: Quantity | None, quantity: int
) -> None:
    """The plain reference in fractions says the same."""
    price = compile_price(model, multiplier)
    expected = rounded(reference(price_text(model, multiplier), Fraction(quantity, 10**9)))
    assert expected == line_cost(price, quantity, before=0)
    assert void_cost(price, quantity, quantity, expected) == -expected


@given(CUMULATIVE, MULTIPLIERS, st.lists(QUANTITIES, min_size=1, max_size=8))
def test_lines_sum_to_the_rounded_price_of_the_total(
    model: PriceModel, multiplier: Quantity | None, cut: list[int]
) -> None:
    """However a period is cut, after each line; and voids sum back to nothing in any order."""
    price, text = compile_price(model, multiplier), price_text(model, multiplier)
    cost = 0
    for quantity, total in zip(cut, accumulate(cut), strict=True):
        found = line_cost(price, quantity, total - quantity)
        assert found is not None
        cost += found
        assert cost == rounded(reference(text, Fraction(total, 10**9)))
    left = sum(cut)
    for quantity in cut:
        found = void_cost(price, quantity, left, 0)
        assert found is not None
        cost, left = cost + found, left - quantity
    assert (cost, left) == (0, 0)


@given(MODELS, MULTIPLIERS)
def test_the_text_of_a_price_gives_it_back(model: PriceModel, multiplier: Quantity | None) -> None:
    """The text of a price gives it back."""
    text = price_text(model, multiplier)
    assert price_of_text(text) == compile_price(model, multiplier)
    assert ("multiplier" in json.loads(text)) == (multiplier is not None)


def test_the_text_of_a_price_is_canonical() -> None:
    """Sorted keys, defaults filled in, canonical numbers."""
    model = model_of("unit", unit_price="0.50")
    assert price_text(model) == '{"model":"unit","per":"1","unit_price":"0.5"}'
    assert price_text(model, Quantity.parse("0.80")) == (
        '{"model":"unit","multiplier":"0.8","per":"1","unit_price":"0.5"}'
    )


@given(PER_LINE, MULTIPLIERS)
def test_the_terms_of_a_price_are_its_exact_price(
    model: PriceModel, multiplier: Quantity | None
) -> None:
    """Credit units for each unit of quantity, or of an event; what columns multiply by."""
    price = compile_price(model, multiplier)
    exact = reference(price_text(model, multiplier), Fraction(1))
    per_credit = 10**9 if price.model == "flat" else 1
    assert Fraction(*price.terms) == exact * per_credit
    assert price.terms == (exact * per_credit).as_integer_ratio()


@pytest.mark.parametrize(
    ("price", "unit_price", "cumulative"),
    [
        (unit("2", multiplier="0.5"), 2 * 10**12, False),
        (flat("3"), 3 * 10**12, False),
        (package("7", "1.5"), 15 * 10**11, True),
        (GRADUATED, None, True),
        (VOLUME, None, True),
    ],
)
def test_a_price_tells_its_unit_price_before_a_multiplier(
    price: Price, unit_price: int | None, cumulative: bool
) -> None:
    """And tiers have none; whether it needs the period's quantity."""
    assert (unit_price, cumulative) == (price.unit_price, price.cumulative)


def test_the_limit_of_a_cost_holds_both_ways() -> None:
    """Exactly 10^18 credits is a cost; a unit more is none."""
    price = unit("1000000000000000000")
    assert line_cost(price, 10**9, 0) == COST_LIMIT
    assert line_cost(price, 10**9 + 1, 0) is None
