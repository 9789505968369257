"""Which of a contract's overrides applies to a line (credits.md section 3, Contract). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from projections.contracts import contract_of
from projections.pricing import Price, compile_price, price_text
from projections.rates.catalog import match_label
from schemas.documents import Override, Product
from schemas.numbers import Quantity


@dataclass(frozen=True, slots=True)
class CompiledOverride:
    """One override, ready to be matched. `place` is from 0; equal ones price alike.

    It has a `multiplier`, or a `price` with its canonical `text`.
    """

    place: int
    match: tuple[tuple[str, str], ...]
    label: str
    multiplier: Quantity | None
    text: str | None
    price: Price | None
    document: Override = field(compare=False)

    def admits(self, dimensions: Mapping[str, str | None]) -> bool:
        """Whether each dimension of `match` has the value that it names."""
        return all(dimensions.get(name) == value for name, value in self.match)


@lru_cache(maxsize=65_536)
def compiled_overrides(contract: str) -> tuple[CompiledOverride, ...]:
    """The overrides of a canonical contract, the ones that win first.

    Most matched dimensions, then `price` before `multiplier`, then as declared.
    """
    found = [_compile(*item) for item in enumerate(contract_of(contract).overrides)]
    found.sort(key=lambda o: (-len(o.match), o.price is None, o.place))
    return tuple(found)


def overrides_at(contract: str, product: Product, time: int) -> tuple[CompiledOverride, ...]:
    """Those of a canonical contract that `product` may have at event time `time`, in order."""
    return tuple(
        override
        for override in compiled_overrides(contract)
        if names(override.document, product) and _in_interval(override.document, time)
    )


def names(override: Override, product: Product) -> bool:
    """Whether the override is for this product, by its id or one of its tags."""
    return override.product == product.id if override.tag is None else override.tag in product.tags


def _in_interval(override: Override, time: int) -> bool:
    start, end = override.effective_from, override.effective_to
    return (start is None or start <= time) and (end is None or time < end)


def _compile(place: int, override: Override) -> CompiledOverride:
    model = override.price
    return CompiledOverride(
        place,
        tuple(sorted(override.match.items())),
        match_label(override.match),
        override.multiplier,
        None if model is None else price_text(model),
        None if model is None else compile_price(model),
        override,
    )
