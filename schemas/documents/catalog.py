"""The catalog: products that are metered, and rate cards that price them (credits.md section 3)."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from schemas.documents.fields import (
    DottedPath,
    Fault,
    Id,
    Matched,
    Name,
    PositiveQuantity,
    Price,
    Strict,
    repeated,
)
from schemas.numbers import Quantity
from schemas.times import Instant


class Meter(Strict):
    """What of an event is counted. `value` and `dimensions` are dotted paths into `data`."""

    event_type: Name
    aggregation: Literal["sum", "count"]
    value: DottedPath | None = None
    dimensions: tuple[DottedPath, ...] = Field((), max_length=16)

    def contradictions(self) -> Iterable[Fault]:
        """A sum without a value, a count with one, a dimension twice."""
        if self.aggregation == "sum" and self.value is None:
            yield "value", "expected a path: a sum needs something to add"
        if self.aggregation == "count" and self.value is not None:
            yield "value", "expected no value: count counts events"
        yield from repeated(self.dimensions, "dimensions[{}]", "expected each dimension once")


class Product(Strict):
    """Something that is metered and priced."""

    kind: Literal["Product"] = "Product"
    id: Id
    name: Name | None = None
    meter: Meter


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


PriceModel = Annotated[UnitModel | FlatModel | PackageModel, Field(discriminator="model")]


class Rate(Strict):
    """The price of a product where the event's dimensions equal `match`."""

    product: Id
    match: dict[DottedPath, Matched] = Field({}, max_length=16)
    price: PriceModel


class RateCardVersion(Strict):
    """The rates from `effective_from` on, until the next version. Order matters: the first wins."""

    version: int = Field(strict=True, ge=1, le=2**31)
    effective_from: Instant
    rates: tuple[Rate, ...] = Field(max_length=10_000)


class RateCard(Strict):
    """A price list: versions in the order in which they take effect."""

    kind: Literal["RateCard"] = "RateCard"
    id: Id
    versions: tuple[RateCardVersion, ...] = Field(min_length=1, max_length=1_000)

    def contradictions(self) -> Iterable[Fault]:
        """Versions whose number or effective_from does not rise."""
        for index, (earlier, later) in enumerate(pairwise(self.versions), start=1):
            if later.version <= earlier.version:
                yield f"versions[{index}].version", f"expected more than {earlier.version}"
            if later.effective_from <= earlier.effective_from:
                yield (
                    f"versions[{index}].effective_from",
                    "expected later than that of the version before",
                )
