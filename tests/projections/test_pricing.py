"""What a line costs, with numbers worked out by hand."""

import pytest

from projections.pricing import Price, compile_price, line_cost
from schemas.documents import FlatModel, PackageModel, UnitModel
from schemas.numbers import Quantity, UnitPrice, format_units, parse_units


def unit(price: str, per: str = "1") -> Price:
    """`price` for each `per`."""
    model = UnitModel(model="unit", unit_price=UnitPrice.parse(price), per=Quantity.parse(per))
    return compile_price(model)


def flat(price: str) -> Price:
    """`price` for each event."""
    return compile_price(FlatModel(model="flat", price=UnitPrice.parse(price)))


def package(size: str, price: str) -> Price:
    """`price` for each started package of `size`."""
    model = PackageModel(model="package", size=Quantity.parse(size), price=UnitPrice.parse(price))
    return compile_price(model)


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
    ],
)
def test_a_line_costs(price: Price, quantity: str, before: str, cost: str | None) -> None:
    """Rounded once, half-even; a package's cost depends on what came before."""
    found = line_cost(price, parse_units(quantity, 9), parse_units(before, 9))
    assert cost == (None if found is None else format_units(found, 9))


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
