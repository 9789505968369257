"""C of credits.md section 1, made ready to be asked many times: the cost of a cumulative quantity.

The same as `projections.pricing.line_cost` from 0, which is the definition.
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from math import gcd
from typing import Final

from projections.pricing import ONE, PRICE_TO_CREDIT, Price
from schemas.numbers import round_half_even

Curve = Callable[[int], int]
_DENOMINATOR: Final[int] = PRICE_TO_CREDIT * ONE * ONE


@lru_cache(maxsize=65_536)
def curve_of(price: Price) -> Curve:
    """The credit units that any quantity (in units) costs by a cumulative price."""
    if price.model == "package":
        numerator, denominator = price.terms
        size = price.size
        return lambda total: round_half_even(-(-total // size) * numerator, denominator)
    tiers = tiers_of(price)
    assert tiers is not None
    return _tiered(*tiers)


Tiers = tuple[list[int], list[tuple[int, int, int]], int]
"""The tiers' ends; of each tier where it starts, what came before costs, and its price; and what
divides both to give credit units."""


def tiers_of(price: Price) -> Tiers | None:
    """A tiered price in integers, in lowest terms; None for another one."""
    if not price.tiers:
        return None
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
    common = gcd(_DENOMINATOR, *(n for _, cost, amount in parts for n in (cost, amount)))
    parts = [(start, cost // common, amount // common) for start, cost, amount in parts]
    return uppers, parts, _DENOMINATOR // common


def _tiered(uppers: list[int], parts: list[tuple[int, int, int]], denominator: int) -> Curve:
    def curve(total: int) -> int:
        if not total:
            return 0
        start, cost, amount = parts[bisect_left(uppers, total)]
        return round_half_even(cost + (total - start) * amount, denominator)

    return curve
