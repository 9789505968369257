"""Price models: what a quantity of a product costs (credits.md section 3)."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from schemas.documents.fields import Fault, PositiveQuantity, Price, Strict
from schemas.numbers import Quantity, UnitPrice


class UnitModel(Strict):
    """`unit_price` credits for each `per` of quantity."""

    model: Literal["unit"]
    unit_price: Price
    per: PositiveQuantity = Quantity.parse("1")


class FlatModel(Strict):
    """`price` credits for each event."""

    model: Literal["flat"]
    price: Price


class PackageModel(Strict):
    """`price` credits for every started package of `size`, cumulative over the billing period."""

    model: Literal["package"]
    size: PositiveQuantity
    price: Price


class Tier(Strict):
    """`unit_price` for each of a quantity up to `up_to` (inclusive; None: without end)."""

    up_to: PositiveQuantity | None = None
    unit_price: Price
    flat: Price = UnitPrice.parse("0")


class _Tiered(Strict):
    tiers: tuple[Tier, ...] = Field(min_length=1, max_length=100)

    def contradictions(self) -> Iterable[Fault]:
        """An end that does not rise, a last tier with an end, another without."""
        *inner, last = self.tiers
        for index, tier in enumerate(inner):
            if tier.up_to is None:
                yield f"tiers[{index}].up_to", "expected an end: only the last tier has none"
        for index, (lower, upper) in enumerate(pairwise(self.tiers), start=1):
            if lower.up_to is not None and upper.up_to is not None and upper.up_to <= lower.up_to:
                yield f"tiers[{index}].up_to", f"expected more than {lower.up_to}"
        if last.up_to is not None:
            yield f"tiers[{len(inner)}].up_to", "expected no end: it is the last tier"


class GraduatedModel(_Tiered):
    """Each part of the period's quantity at its tier; `flat` once the tier is entered."""

    model: Literal["graduated"]


class VolumeModel(_Tiered):
    """The whole quantity of the period at the tier it reached, whose `flat` alone is due."""

    model: Literal["volume"]


PriceModel = Annotated[
    UnitModel | FlatModel | PackageModel | GraduatedModel | VolumeModel,
    Field(discriminator="model"),
]
