"""What prices the lines of one product, and by dimensions the price of each. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from projections.pricing import Price, compile_price
from projections.rates.catalog import CompiledRate, CompiledVersion
from projections.rates.overrides import CompiledOverride
from schemas.numbers import Quantity
from schemas.reasons import Reason

Dimensions = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Charge:
    """What prices a line of given dimensions. `rate_card` and `version` None: only an override."""

    override: int | None
    rate_card: str | None
    version: int | None
    match: str
    price: Price
    price_text: str


@dataclass(frozen=True, slots=True)
class Tariff:
    """What prices the lines of a product: a version of a rate card, and overrides in order.

    `cumulative`: the quantity of their keys is kept.
    """

    product: str
    version: CompiledVersion | Reason
    overrides: tuple[CompiledOverride, ...]
    cumulative: bool

    def charge(self, dimensions: Dimensions) -> Charge | Reason:
        """The price for these dimensions, or why there is none."""
        override = next((o for o in self.overrides if o.admits(dimensions)), None)
        version = self.version
        if override is not None and override.price is not None:
            assert override.text is not None
            listed = version if isinstance(version, CompiledVersion) else None
            return Charge(
                override.place,
                None if listed is None else listed.card,
                None if listed is None else listed.version,
                override.label,
                override.price,
                override.text,
            )
        if isinstance(version, Reason):
            return version
        rate = version.rate(self.product, dimensions)
        if rate is None:
            return Reason.NO_RATE
        place, price, text = None, rate.price, rate.text
        if override is not None:
            assert override.multiplier is not None
            place, (price, text) = override.place, _multiplied(rate, override.multiplier)
        return Charge(place, version.card, version.version, rate.label, price, text)


@lru_cache(maxsize=65_536)
def _multiplied(rate: CompiledRate, multiplier: Quantity) -> tuple[Price, str]:
    content = json.loads(rate.text) | {"multiplier": str(multiplier)}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return compile_price(rate.model, multiplier), text
