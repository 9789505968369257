import copy
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.money import Money
from schemas.numbers import (
    LIMIT,
    Credits,
    NumberError,
    Quantity,
    UnitPrice,
    format_units,
    parse_units,
    round_half_even,
)

UNITS = st.integers(-LIMIT * 10**9, LIMIT * 10**9)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.000", 0),
        ("10", 10_000_000_000),
        ("0.2", 200_000_000),
        ("-3.000000001", -3_000_000_001),
        ("1e3", 1_000_000_000_000),
        ("1.5E+1", 15_000_000_000),
        ("10e-10", 1),
        ("0e9999", 0),
        ("1.5000000000000", 1_500_000_000),
        ("1000000000000000000", 10**27),
        ("-1e18", -(10**27)),
    ],
)
def test_a_literal_is_taken_exactly(text: str, units: int) -> None:
    """A literal is taken exactly."""
    assert units == parse_units(text, 9)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1\n",
        "+1",
        "01",
        ".5",
        "5.",
        "1_000",
        "1,5",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e",
        "1e400",
        "1e99999",
        "1e-10",
        "0.0000000001",
        "1000000000000000000.000000001",
        "1000000000000000001",
        "٣",
        "1" * 65,
        "--1",
    ],
)
def test_what_is_not_an_exact_number_in_range_is_refused(text: str) -> None:
    """What is not an exact number in range is refused."""
    with pytest.raises(NumberError, match="expected"):
        parse_units(text, 9)


@given(UNITS)
def test_the_canonical_text_gives_the_number_back(units: int) -> None:
    """The canonical text gives the number back."""
    text = format_units(units, 9)
    assert units == parse_units(text, 9)
    assert Decimal(text) == Decimal(units).scaleb(-9)
    assert "." not in text or not text.endswith("0")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-10, max_value=10))
def test_a_decimal_is_taken_as_it_is_or_refused(value: Decimal) -> None:
    """A decimal is taken as it is or refused."""
    assert UnitPrice.parse(value).units == int(value.scaleb(12))
    exact = value == value.quantize(Decimal("1e-9"))
    if exact:
        assert Credits.parse(value).units == int(value.scaleb(9))
    else:
        with pytest.raises(NumberError, match="at most 9 decimals"):
            Credits.parse(value)


@given(st.integers(), st.integers(1, 10**40))
def test_rounding_is_half_even_of_the_exact_quotient(numerator: int, denominator: int) -> None:
    """Rounding is half even of the exact quotient."""
    rounded = round_half_even(numerator, denominator)
    doubled_error = 2 * (numerator - rounded * denominator)
    assert abs(doubled_error) <= denominator
    if abs(doubled_error) == denominator:
        assert rounded % 2 == 0


@pytest.mark.parametrize(("numerator", "rounded"), [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2)])
def test_ties_go_to_the_even_neighbour(numerator: int, rounded: int) -> None:
    """Ties go to the even neighbour."""
    assert rounded == round_half_even(numerator, 2)


@pytest.mark.parametrize("value", [1.0, True, None, b"1", [1], float("nan")])
def test_only_texts_integers_and_decimals_are_numbers(value: object) -> None:
    """Only texts integers and decimals are numbers."""
    with pytest.raises(NumberError):
        Credits.parse(value)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        TypeAdapter(Credits).validate_python(value)


@given(UNITS, UNITS)
def test_a_kind_orders_adds_and_hashes_like_its_units(left: int, right: int) -> None:
    """A kind orders adds and hashes like its units."""
    assert Credits(left + right) == Credits(left) + Credits(right)
    assert Credits(left - right) == Credits(left) - Credits(right)
    assert Credits(-left) == -Credits(left)
    assert (left < right) == (Credits(left) < Credits(right))
    assert (left >= right) == (Credits(left) >= Credits(right))
    assert (left == right) == (Credits(left) == Credits(right))
    assert hash(Credits(left)) == hash(Credits(left))
    assert bool(left) == bool(Credits(left))


def test_two_kinds_do_not_mix() -> None:
    """Two kinds do not mix."""
    assert Credits(1) != Quantity(1)
    with pytest.raises(TypeError):
        Credits(1) + Quantity(1)  # type: ignore[operator]
    with pytest.raises(TypeError):
        _ = Credits(1) < UnitPrice(1)  # type: ignore[operator]
    with pytest.raises(TypeError):
        Credits(1) - 1  # type: ignore[operator]
    with pytest.raises(NumberError):
        Credits.parse(Quantity(1))


def test_a_number_is_immutable() -> None:
    """A number is immutable."""
    amount = Credits.parse("1.5")
    with pytest.raises(AttributeError):
        amount.units = 2
    assert amount == copy.deepcopy(amount)
    assert repr(amount) == "Credits.parse('1.5')"


def test_a_model_reads_texts_and_writes_canonical_ones() -> None:
    """A model reads texts and writes canonical ones."""
    adapter = TypeAdapter(Credits)
    assert Credits.parse("0.5") == adapter.validate_python("0.50")
    assert Credits.parse("5") == adapter.validate_python(5)
    assert adapter.dump_json(Credits.parse("0.50")) == b'"0.5"'


def test_money_adds_in_one_currency_only() -> None:
    """Money adds in one currency only."""
    paid = Money(8_500_000_000, "USD")
    assert Money(17_000_000_000, "USD") == paid + paid
    assert str(paid) == "8.5 USD"
    with pytest.raises(TypeError, match="EUR"):
        paid + Money(1, "EUR")
    with pytest.raises(TypeError):
        paid + 1  # type: ignore[operator]
    with pytest.raises(NumberError, match="ISO 4217"):
        Money(1, "XXX")
