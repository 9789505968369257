"""The catalog as of one place in the journal: products, rate cards, and which rate prices a line.

Pure. A catalog is what its documents say, applied in the order of the log; the compiled form is
derived.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from projections.pricing import Price, compile_price
from schemas.documents import Product, Rate, RateCard, RateCardVersion, canonical, parse_document
from schemas.reasons import Reason, Refusal


@dataclass(frozen=True, slots=True)
class CompiledRate:
    """One rate, ready to be matched: `match` as sorted pairs, `label` as canonical JSON."""

    match: tuple[tuple[str, str], ...]
    label: str
    price: Price


@dataclass(frozen=True, slots=True)
class CompiledVersion:
    """A version's rates by product, the most specific first, equal ones as declared."""

    version: int
    effective_from: int
    rates: dict[str, list[CompiledRate]]


@dataclass(frozen=True, slots=True)
class Choice:
    """What prices a line."""

    rate_card: str
    version: int
    rate: CompiledRate


@dataclass
class Catalog:
    """Products by event type in order of first application, and rate cards by id."""

    documents: dict[tuple[str, str], Product | RateCard] = field(default_factory=dict)
    _texts: dict[tuple[str, str], str] = field(default_factory=dict)
    _cards: dict[str, list[CompiledVersion]] = field(default_factory=dict)

    @classmethod
    def restore(cls, documents: Iterable[str]) -> "Catalog":
        """The catalog of canonical documents in order of first application."""
        catalog = cls()
        for text in documents:
            catalog._keep(text)
        return catalog

    def texts(self) -> list[str]:
        """The inverse of `restore`."""
        return list(self._texts.values())

    def apply(self, document: Product | RateCard, clock: int) -> Refusal | None:
        """Take `document` at journal time `clock`; a refusal changes nothing."""
        existing = self.documents.get((document.kind, document.id))
        text = canonical(document).decode()
        if self._texts.get((document.kind, document.id)) == text:
            return None
        refusal = (
            _product_refusal(existing, document)
            if isinstance(document, Product)
            else self._card_refusal(existing, document, clock)
        )
        if refusal is None:
            self._keep(text)
        return refusal

    def products(self, event_type: str) -> list[Product]:
        """The products that meter this event type, in catalog order."""
        return [
            document
            for document in self.documents.values()
            if isinstance(document, Product) and document.meter.event_type == event_type
        ]

    def choose(
        self, rate_card: str | None, product: str, time: int, dimensions: Mapping[str, str | None]
    ) -> Choice | Reason:
        """The rate for a line of `product` at event time `time`, or why there is none."""
        if rate_card is None:
            return Reason.NO_RATE_CARD
        versions = self._cards.get(rate_card)
        if versions is None:
            return Reason.UNKNOWN_RATE_CARD
        index = self.version_index(rate_card, time)
        if index < 0:
            return Reason.NO_VERSION
        for rate in versions[index].rates.get(product, ()):
            if all(dimensions.get(name) == value for name, value in rate.match):
                return Choice(rate_card, versions[index].version, rate)
        return Reason.NO_RATE

    def cards(self) -> Iterable[str]:
        """The ids of the rate cards."""
        return self._cards

    def version_index(self, rate_card: str, time: int) -> int:
        """Which version of a known card is in effect at `time`: the latest begun, -1 for none."""
        return bisect_right(self.effective_times(rate_card), time) - 1

    def effective_times(self, rate_card: str) -> list[int]:
        """When each version of the card takes effect, rising; empty for an unknown card."""
        return [version.effective_from for version in self._cards.get(rate_card, ())]

    def _keep(self, text: str) -> None:
        document, versions = _read(text)
        self.documents[document.kind, document.id] = document
        self._texts[document.kind, document.id] = text
        if isinstance(document, RateCard):
            self._cards[document.id] = versions

    def _card_refusal(
        self, existing: Product | RateCard | None, card: RateCard, clock: int
    ) -> Refusal | None:
        for v, version in enumerate(card.versions):
            for r, rate in enumerate(version.rates):
                refusal = self._rate_refusal(rate, f"versions[{v}].rates[{r}]")
                if refusal is not None:
                    return refusal
        if isinstance(existing, RateCard):
            return _version_refusal(existing, card, clock)
        return None

    def _rate_refusal(self, rate: Rate, path: str) -> Refusal | None:
        product = self.documents.get(("Product", rate.product))
        if not isinstance(product, Product):
            detail = f"expected a product that was applied before, got {rate.product}"
            return Refusal(Reason.UNKNOWN_PRODUCT, detail, f"{path}.product")
        for name in rate.match:
            if name not in product.meter.dimensions:
                known = ", ".join(product.meter.dimensions) or "none"
                detail = f"expected a dimension of {rate.product} ({known}), got {name}"
                return Refusal(Reason.INVALID_DOCUMENT, detail, f"{path}.match.{name}")
        return None


def _product_refusal(existing: Product | RateCard | None, product: Product) -> Refusal | None:
    """Aggregation and value cannot change: what was rated by them would mean something else."""
    if not isinstance(existing, Product):
        return None
    for name in ("aggregation", "value"):
        before, after = getattr(existing.meter, name), getattr(product.meter, name)
        if before != after:
            detail = f"cannot change from {before} to {after}"
            return Refusal(Reason.CONFLICT, detail, f"meter.{name}")
    return None


def _version_refusal(existing: RateCard, card: RateCard, clock: int) -> Refusal | None:
    """An effective version is immutable, but for rates of products that it does not price yet."""
    after = {version.version: version for version in card.versions}
    for version in existing.versions:
        if version.effective_from > clock:
            continue
        changed = after.get(version.version)
        if changed is None:
            detail = f"version {version.version} is in effect and cannot be removed"
            return Refusal(Reason.IMMUTABLE_VERSION, detail, "versions")
        index = card.versions.index(changed)
        if changed.effective_from != version.effective_from:
            detail = f"version {version.version} is in effect: it cannot begin at another time"
            return Refusal(Reason.IMMUTABLE_VERSION, detail, f"versions[{index}].effective_from")
        priced = {rate.product for rate in version.rates}
        kept = tuple(rate for rate in changed.rates if rate.product in priced)
        if kept != version.rates:
            detail = f"version {version.version} is in effect: only further products can be priced"
            return Refusal(Reason.IMMUTABLE_VERSION, detail, f"versions[{index}].rates")
    return None


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[Product | RateCard, list[CompiledVersion]]:
    """A canonical document, and the versions of a rate card: parsed once, not for each batch."""
    document = parse_document(text.encode())
    assert isinstance(document, Product | RateCard), text
    if isinstance(document, Product):
        return document, []
    return document, [_compile(version) for version in document.versions]


def _compile(version: RateCardVersion) -> CompiledVersion:
    rates: dict[str, list[CompiledRate]] = {}
    for rate in version.rates:
        pairs = tuple(sorted(rate.match.items()))
        label = json.dumps(dict(pairs), separators=(",", ":"), ensure_ascii=False)
        compiled = CompiledRate(pairs, label, compile_price(rate.price))
        rates.setdefault(rate.product, []).append(compiled)
    for of_product in rates.values():
        of_product.sort(key=lambda compiled: -len(compiled.match))
    return CompiledVersion(version.version, version.effective_from, rates)
