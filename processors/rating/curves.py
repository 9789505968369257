"""C of credits.md section 1, made ready to be asked many times: the cost of a cumulative quantity.

The same as `projections.pricing.line_cost` from 0, which is the definition.
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from projections.pricing import ONE, PRICE_TO_CREDIT, Price
from schemas.numbers import round_half_even

Curve = Callable[[int], int]
_DENOMINATOR: Final[int] = PRICE_TO_CREDIT * ONE * ONE
_HALF: Final = _DENOMINATOR // 2


@lru_cache(maxsize=65_536)
def curve_of(price: Price) -> Curve:
    """The credit units that any quantity (in units) costs by a cumulative price."""
    if price.model == "package":
        numerator, denominator = price.terms
        size = price.size
        return lambda total: round_half_even(-(-total // size) * numerator, denominator)
    uppers: list[int] = []
    parts: list[tuple[int, int, int]] = []
    lower = base = 0
    for tier in price.tiers:
        flat = tier.flat * ONE
        if price.model == "graduated":
            base += flat
            start, cost = lower, base
        else:
            start, cost = 0, flat
        parts.append((start, cost * price.multiplier, tier.amount * price.multiplier))
        if tier.up_to is not None:
            base += (tier.up_to - lower) * tier.amount
            lower = tier.up_to
            uppers.append(tier.up_to)
    return _tiered(uppers, parts)


def _tiered(uppers: list[int], parts: list[tuple[int, int, int]]) -> Curve:
    """By tier: the quantity at which it starts, what came before it costs, and its price."""

    def curve(total: int) -> int:
        if not total:
            return 0
        start, cost, amount = parts[bisect_left(uppers, total)]
        exact: int = cost + (total - start) * amount
        whole, rest = divmod(exact, _DENOMINATOR)
        if rest > _HALF or (rest == _HALF and whole & 1):
            return whole + 1
        return whole

    return curve
