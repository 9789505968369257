"""What a quantity costs (credits.md sections 1 and 3), in fractions."""

from fractions import Fraction
from math import ceil
from typing import Any, Final

UNITS: Final = 10**9
CUMULATIVE: Final = {"package", "graduated", "volume"}
Price = dict[str, Any]


def rounded(credits_: Fraction) -> Fraction:
    """Half-even, to 9 decimals."""
    return Fraction(round(credits_ * UNITS), UNITS)


def cost_of(price: Price, quantity: Fraction, before: Fraction, times: Fraction) -> Fraction:
    """The cost of `quantity` more after `before`; the multiplier comes before the rounding."""
    model = price["model"]
    if model == "flat":
        return rounded(_number(price["price"]) * times * (-1 if quantity < 0 else 1))
    if model == "unit":
        per = _number(price.get("per", "1"))
        return rounded(quantity * _number(price["unit_price"]) / per * times)
    total = before + quantity
    return rounded(_total(price, total) * times) - rounded(_total(price, before) * times)


def _total(price: Price, quantity: Fraction) -> Fraction:
    """C(quantity) of a cumulative price; C(0) = 0."""
    if quantity <= 0:
        return Fraction(0)
    if price["model"] == "package":
        return ceil(quantity / _number(price["size"])) * _number(price["price"])
    total, lower = Fraction(0), Fraction(0)
    for tier in price["tiers"]:
        up_to = tier.get("up_to")
        upper = None if up_to is None else _number(up_to)
        flat, each = _number(tier.get("flat") or "0"), _number(tier["unit_price"])
        last = upper is None or quantity <= upper
        if price["model"] == "volume":
            if last:
                return quantity * each + flat
        else:
            total += ((quantity if last or upper is None else upper) - lower) * each + flat
            if last:
                return total
        lower = upper or lower
    raise AssertionError(price)


def _number(text: Any) -> Fraction:
    return Fraction(str(text))
