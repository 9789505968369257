"""What a line costs: the price models of credits.md section 3, on exact integers.

Quantities are units of 10^-9, prices of 10^-12, costs of 10^-9 credits. A cost is rounded once,
half-even; one that depends on the cumulative quantity is `round(C(after)) - round(C(before))`, so
a period's lines sum to the rounded price of its total however they were cut (credits.md section 1).
"""

from dataclasses import dataclass
from typing import Final, Literal

from schemas.documents import FlatModel, PackageModel, UnitModel
from schemas.numbers import CREDIT_DECIMALS, LIMIT, PRICE_DECIMALS, round_half_even

PRICE_TO_CREDIT: Final = 10 ** (PRICE_DECIMALS - CREDIT_DECIMALS)
COST_LIMIT: Final = LIMIT * 10**CREDIT_DECIMALS
QUANTITY_LIMIT: Final = COST_LIMIT
"""Of one line's cost, and of a cumulative quantity: beyond it, `cost_out_of_range`."""


@dataclass(frozen=True, slots=True)
class Price:
    """A compiled price: `amount` in price units, `size` in quantity units (per, or the package)."""

    model: Literal["unit", "flat", "package"]
    amount: int
    size: int

    @property
    def cumulative(self) -> bool:
        """Does the cost depend on what the period has brought before?"""
        return self.model == "package"


def compile_price(model: UnitModel | FlatModel | PackageModel) -> Price:
    """The price of a rate's document."""
    if isinstance(model, UnitModel):
        return Price("unit", model.unit_price.units, model.per.units)
    if isinstance(model, FlatModel):
        return Price("flat", model.price.units, 1)
    return Price("package", model.price.units, model.size.units)


def line_cost(price: Price, quantity: int, before: int) -> int | None:
    """The cost of `quantity` after a cumulative `before`; None beyond the limits.

    Both are units and not negative. `before` matters to cumulative prices only.
    """
    if price.model == "unit":
        cost = round_half_even(quantity * price.amount, price.size * PRICE_TO_CREDIT)
    elif price.model == "flat":
        cost = round_half_even(price.amount, PRICE_TO_CREDIT)
    else:
        if before + quantity > QUANTITY_LIMIT:
            return None
        cost = _packages(price, before + quantity) - _packages(price, before)
    return cost if cost <= COST_LIMIT else None


def _packages(price: Price, total: int) -> int:
    """C(total): every started package, rounded to credits."""
    return round_half_even(-(-total // price.size) * price.amount, PRICE_TO_CREDIT)
