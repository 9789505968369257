"""What a line costs: the price models of credits.md section 3, on exact integers.

Quantities are units of 10^-9, prices of 10^-12, costs of 10^-9 credits. A cost is rounded once,
half-even; one that depends on the cumulative quantity is `round(C(after)) - round(C(before))`, so
a period's lines sum to the rounded price of its total however they were cut (credits.md section 1).
An override's multiplier is a factor of the price before it is rounded.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from schemas.documents import (
    FlatModel,
    GraduatedModel,
    PackageModel,
    PriceModel,
    UnitModel,
    VolumeModel,
)
from schemas.numbers import (
    CREDIT_DECIMALS,
    LIMIT,
    PRICE_DECIMALS,
    QUANTITY_DECIMALS,
    Quantity,
    round_half_even,
)

PRICE_TO_CREDIT: Final = 10 ** (PRICE_DECIMALS - CREDIT_DECIMALS)
COST_LIMIT: Final = LIMIT * 10**CREDIT_DECIMALS
QUANTITY_LIMIT: Final = COST_LIMIT
"""Of one line's cost, and of a cumulative quantity: beyond it, `cost_out_of_range`."""
ONE: Final = 10**QUANTITY_DECIMALS
_PRICE_MODEL: Final[TypeAdapter[PriceModel]] = TypeAdapter(PriceModel)


@dataclass(frozen=True, slots=True)
class PriceTier:
    """`amount` in price units for each whole quantity, `up_to` in quantity units, inclusive."""

    up_to: int | None
    amount: int
    flat: int


@dataclass(frozen=True, slots=True)
class Price:
    """A compiled price: `amount` in price units, `size` in quantity units (per, or the package).

    Tiered prices have `tiers` in their place. `multiplier` is in units of 10^-9.
    """

    model: Literal["unit", "flat", "package", "graduated", "volume"]
    amount: int = 0
    size: int = 1
    tiers: tuple[PriceTier, ...] = ()
    multiplier: int = ONE

    @property
    def cumulative(self) -> bool:
        """Does the cost depend on what the period has brought before?"""
        return self.model not in ("unit", "flat")

    @property
    def unit_price(self) -> int | None:
        """The one price before the multiplier, in price units; None where there are tiers."""
        return None if self.tiers else self.amount

    @property
    def terms(self) -> tuple[int, int]:
        """Numerator and denominator of a price without tiers, multiplied, in lowest terms.

        The credit units of each unit of quantity (`unit`), of the event (`flat`) or of a package.
        """
        numerator = self.amount * self.multiplier
        denominator = PRICE_TO_CREDIT * ONE * (self.size if self.model == "unit" else 1)
        common = gcd(numerator, denominator)
        return numerator // common, denominator // common


def compile_price(model: PriceModel, multiplier: Quantity | None = None) -> Price:
    """The price of a rate's or an override's document, times the multiplier of an override."""
    factor = ONE if multiplier is None else multiplier.units
    if isinstance(model, UnitModel):
        return Price("unit", model.unit_price.units, model.per.units, multiplier=factor)
    if isinstance(model, FlatModel):
        return Price("flat", model.price.units, multiplier=factor)
    if isinstance(model, PackageModel):
        return Price("package", model.price.units, model.size.units, multiplier=factor)
    return Price(model.model, tiers=_tiers(model), multiplier=factor)


def line_cost(price: Price, quantity: int, before: int) -> int | None:
    """The cost of `quantity` after a cumulative `before`; None beyond the limits.

    Both are units and not negative. `before` matters to cumulative prices only. The cost is
    negative where a volume price re-prices what went before.
    """
    if not price.cumulative:
        numerator, denominator = price.terms
        counted = quantity if price.model == "unit" else 1
        return _within_limit(round_half_even(counted * numerator, denominator))
    if before + quantity > QUANTITY_LIMIT:
        return None
    return _within_limit(_cumulative(price, before + quantity) - _cumulative(price, before))


def void_cost(price: Price, quantity: int, total: int, cost: int) -> int | None:
    """The cost of the line of `-quantity` that voids one of `quantity` which cost `cost`.

    `total` is the cumulative quantity of the line's key, the line included. None beyond the limits:
    where tiers become cheaper, what is left may cost more than it did with the line.
    """
    if not price.cumulative:
        return -cost
    assert 0 <= quantity <= total, (quantity, total)
    return _within_limit(_cumulative(price, total - quantity) - _cumulative(price, total))


def price_text(model: PriceModel, multiplier: Quantity | None = None) -> str:
    """A price as the log tells it: its canonical JSON, with `multiplier` where one applied."""
    content = model.model_dump(mode="json")
    if multiplier is not None:
        content["multiplier"] = str(multiplier)
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=4096)
def price_of_text(text: str) -> Price:
    """The price that `price_text` told. It is from the log: what it does not hold is a bug."""
    content: dict[str, Any] = json.loads(text)
    multiplier = content.pop("multiplier", None)
    factor = None if multiplier is None else Quantity.parse(multiplier)
    return compile_price(_PRICE_MODEL.validate_python(content), factor)


def _cumulative(price: Price, total: int) -> int:
    """C(total), rounded to credit units."""
    if price.model == "package":
        numerator, denominator = price.terms
        return round_half_even(-(-total // price.size) * numerator, denominator)
    exact = _graduated if price.model == "graduated" else _volume
    return round_half_even(
        exact(price.tiers, total) * price.multiplier, PRICE_TO_CREDIT * ONE * ONE
    )


def _graduated(tiers: tuple[PriceTier, ...], total: int) -> int:
    """Each part of `total` at its tier, in units of 10^-21 credits."""
    cost = lower = 0
    for tier in tiers:
        if total <= lower:
            break
        upper = total if tier.up_to is None else min(total, tier.up_to)
        cost += (upper - lower) * tier.amount + tier.flat * ONE
        lower = upper
    return cost


def _volume(tiers: tuple[PriceTier, ...], total: int) -> int:
    """All of `total` at the tier it reached, in units of 10^-21 credits."""
    if total == 0:
        return 0
    reached = next(tier for tier in tiers if tier.up_to is None or total <= tier.up_to)
    return total * reached.amount + reached.flat * ONE


def _tiers(model: GraduatedModel | VolumeModel) -> tuple[PriceTier, ...]:
    return tuple(
        PriceTier(
            None if tier.up_to is None else tier.up_to.units,
            tier.unit_price.units,
            tier.flat.units,
        )
        for tier in model.tiers
    )


def _within_limit(cost: int) -> int | None:
    return cost if abs(cost) <= COST_LIMIT else None
