"""The catalog as of one place in the journal: products, rate cards, and which rate prices a line.

Pure. A catalog is what its documents say, applied in the order of the log; the compiled form is
derived.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from projections.pricing import Price, compile_price, price_text
from schemas.documents import (
    Pack,
    PinnedCard,
    PriceModel,
    Product,
    Rate,
    RateCard,
    RateCardVersion,
    canonical,
    parse_document,
)
from schemas.reasons import Reason, Refusal

CatalogDocument = Product | RateCard | Pack


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRate:
    """One rate, ready to be matched: `match` as sorted pairs, `label` as canonical JSON."""

    match: tuple[tuple[str, str], ...]
    label: str
    model: PriceModel
    price: Price
    text: str

    def admits(self, dimensions: Mapping[str, str | None]) -> bool:
        """Whether each dimension of `match` has the value that it names."""
        return all(dimensions.get(name) == value for name, value in self.match)


@dataclass(frozen=True, slots=True, eq=False)
class CompiledVersion:
    """A version's rates by product, the most specific first, equal ones as declared."""

    card: str
    version: int
    effective_from: int
    rates: dict[str, list[CompiledRate]]

    def rate(self, product: str, dimensions: Mapping[str, str | None]) -> CompiledRate | None:
        """The rate that prices `product`, None where none matches."""
        for rate in self.rates.get(product, ()):
            if rate.admits(dimensions):
                return rate
        return None


@dataclass
class Catalog:
    """Products by event type in order of first application, rate cards and packs by id."""

    documents: dict[tuple[str, str], CatalogDocument] = field(default_factory=dict)
    _texts: dict[tuple[str, str], str] = field(default_factory=dict)
    _cards: dict[str, list[CompiledVersion]] = field(default_factory=dict)
    _accumulating: dict[str, frozenset[str]] = field(default_factory=dict)

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

    def apply(self, document: CatalogDocument, clock: int) -> Refusal | None:
        """Take `document` at journal time `clock`; a refusal changes nothing."""
        existing = self.documents.get((document.kind, document.id))
        text = canonical(document).decode()
        if self._texts.get((document.kind, document.id)) == text:
            return None
        refusal = None
        if isinstance(document, Product):
            refusal = _product_refusal(existing, document)
        elif isinstance(document, RateCard):
            refusal = self._card_refusal(existing, document, clock)
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

    def product(self, product: str) -> Product | None:
        """The product of that id."""
        document = self.documents.get(("Product", product))
        return document if isinstance(document, Product) else None

    def pack(self, pack: str) -> Pack | None:
        """The pack of that id."""
        document = self.documents.get(("Pack", pack))
        return document if isinstance(document, Pack) else None

    def version(self, card: str | PinnedCard | None, time: int) -> CompiledVersion | Reason:
        """The version that prices at event time `time`: a pinned one, else the latest begun."""
        if card is None:
            return Reason.NO_RATE_CARD
        versions = self._cards.get(card if isinstance(card, str) else card.id)
        if versions is None:
            return Reason.UNKNOWN_RATE_CARD
        if isinstance(card, PinnedCard):
            pinned = (version for version in versions if version.version == card.version)
            return next(pinned, Reason.NO_VERSION)
        index = bisect_right(versions, time, key=lambda version: version.effective_from) - 1
        return versions[index] if index >= 0 else Reason.NO_VERSION

    def accumulates(self, card: str, product: str) -> bool:
        """Whether any version of the card prices `product` by a cumulative quantity."""
        return product in self._accumulating.get(card, ())

    def effective_times(self, card: str) -> list[int]:
        """When each version of the card takes effect, rising; empty for an unknown card."""
        return [version.effective_from for version in self._cards.get(card, ())]

    def _keep(self, text: str) -> None:
        document, versions = _read(text)
        self.documents[document.kind, document.id] = document
        self._texts[document.kind, document.id] = text
        if isinstance(document, RateCard):
            self._cards[document.id] = versions
            self._accumulating[document.id] = frozenset(
                product
                for version in versions
                for product, rates in version.rates.items()
                if any(rate.price.cumulative for rate in rates)
            )

    def _card_refusal(
        self, existing: CatalogDocument | None, card: RateCard, clock: int
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


def _product_refusal(existing: CatalogDocument | None, product: Product) -> Refusal | None:
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
def _read(text: str) -> tuple[CatalogDocument, list[CompiledVersion]]:
    """A canonical document, and the versions of a rate card: parsed once, not for each batch."""
    document = parse_document(text.encode())
    assert isinstance(document, CatalogDocument), text
    if not isinstance(document, RateCard):
        return document, []
    return document, [_compile(document.id, version) for version in document.versions]


def _compile(card: str, version: RateCardVersion) -> CompiledVersion:
    rates: dict[str, list[CompiledRate]] = {}
    for rate in version.rates:
        compiled = CompiledRate(
            tuple(sorted(rate.match.items())),
            match_label(rate.match),
            rate.price,
            compile_price(rate.price),
            price_text(rate.price),
        )
        rates.setdefault(rate.product, []).append(compiled)
    for of_product in rates.values():
        of_product.sort(key=lambda compiled: -len(compiled.match))
    return CompiledVersion(card, version.version, version.effective_from, rates)


def match_label(match: Mapping[str, str]) -> str:
    """A `match` as the log tells it: JSON with its names in order."""
    return json.dumps(dict(sorted(match.items())), separators=(",", ":"), ensure_ascii=False)
