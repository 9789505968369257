"""The catalog: products, the rate cards that price them, and packs (credits.md section 3)."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

from pydantic import Field

from schemas.documents.fields import (
    Cost,
    Counted,
    DottedPath,
    Fault,
    Id,
    Ids,
    Lifetime,
    Match,
    Name,
    PositiveCredits,
    Priority,
    Strict,
    Tag,
    Tags,
    WholeQuantity,
    named_twice,
    repeated,
)
from schemas.documents.prices import PriceModel
from schemas.documents.terms import Rollover
from schemas.times import Instant


class Meter(Strict):
    """What of an event is counted. `value` and `dimensions` are dotted paths into `data`.

    An event whose data does not hold what `filter` says is not metered by the product.
    """

    event_type: Name
    aggregation: Literal["sum", "count", "max", "unique"]
    value: DottedPath | None = None
    dimensions: tuple[DottedPath, ...] = Field(default=(), max_length=16)
    filter: Match = Field(default={})

    def contradictions(self) -> Iterable[Fault]:
        """No value where there must be one, a count with one, a dimension twice."""
        if self.aggregation == "count" and self.value is not None:
            yield "value", "expected no value: count counts events"
        if self.aggregation != "count" and self.value is None:
            yield "value", f"expected a path: {self.aggregation} is taken of a value"
        yield from repeated(self.dimensions, "dimensions[{}]", "expected each dimension once")


class Product(Strict):
    """Something that is metered and priced."""

    kind: Literal["Product"] = "Product"
    id: Id
    name: Name | None = None
    tags: tuple[Tag, ...] = Field(default=(), max_length=100)
    meter: Meter

    def contradictions(self) -> Iterable[Fault]:
        """A tag twice."""
        yield from named_twice((), self.tags)


class Rate(Strict):
    """The price of a product where the event's dimensions equal `match`."""

    product: Id
    match: Match = Field(default={})
    price: PriceModel


class RateCardVersion(Strict):
    """The rates from `effective_from` on, until the next version. Order matters: the first wins."""

    version: Counted
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


class Break(Strict):
    """What each pack costs to who buys at least `from_quantity` of them."""

    from_quantity: WholeQuantity
    price: Cost


class Pack(Strict):
    """A block of credits for sale. `expiry` None: what is bought does not expire."""

    kind: Literal["Pack"] = "Pack"
    id: Id
    name: Name | None = None
    type: Literal["prepaid", "promotional"] = "prepaid"
    amount: PositiveCredits
    price: Cost | None = None
    expiry: Lifetime | None = None
    products: Ids | None = None
    tags: Tags | None = None
    priority: Priority = 50
    rollover: Rollover | None = None
    breaks: tuple[Break, ...] = Field(default=(), max_length=100)

    def contradictions(self) -> Iterable[Fault]:
        """A price too many or too few, breaks that do not rise, a second currency."""
        if self.type == "prepaid" and self.price is None:
            yield "price", "expected what one prepaid pack costs"
        if self.type == "promotional" and self.price is not None:
            yield "price", "expected no price: a promotional pack has none"
        for index, one in enumerate(self.breaks):
            if self.price is None or one.price.currency != self.price.currency:
                yield f"breaks[{index}].price.currency", "expected the currency of the pack's price"
        for index, (lower, upper) in enumerate(pairwise(self.breaks), start=1):
            if upper.from_quantity <= lower.from_quantity:
                yield f"breaks[{index}].from_quantity", f"expected more than {lower.from_quantity}"
        yield from named_twice(self.products, self.tags)

    def price_of(self, quantity: int) -> Cost | None:
        """What each of `quantity` packs costs: that of the last break reached, else the pack's."""
        reached = [one.price for one in self.breaks if one.from_quantity.units <= quantity * 10**9]
        return reached[-1] if reached else self.price
