"""What prices a line: contract, revision, rate, override and billing period, in one place. Pure.

The fold and the entitlement check both ask here, so they agree (credits.md section 8). Asked in two
steps: `standing` finds what holds for a product whatever its dimensions are, `Tariff.charge` what
the dimensions then decide. Standings hold between two `edges` within one billing period, and
accounts on equal terms share their tariffs: so the columnar path asks each step once for many
lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from projections.contracts import Lineage, contract_of
from projections.rates.catalog import Catalog
from projections.rates.coverage import Covering, covering
from projections.rates.overrides import (
    CompiledOverride,
    compiled_overrides,
    names,
    overrides_at,
)
from projections.rates.tariff import Charge, Dimensions, Tariff
from schemas.documents import PinnedCard, Product
from schemas.periods import period_at
from schemas.reasons import Reason

ACCOUNT: Final = "account"
"""The `by` of a limit that is of the whole account (or contract)."""


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """What of an account decides prices: its wallet's terms."""

    rate_card: str | None
    time_zone: str
    limits: tuple["LimitTerms", ...] = ()


class LimitTerms(Protocol):
    """What of a limit concerns a line."""

    @property
    def id(self) -> str:
        """Its name, of the account's or the contract's."""

    @property
    def by(self) -> str:
        """ACCOUNT, or the data path of its entities."""

    @property
    def products(self) -> tuple[str, ...] | None:
        """Those that it counts, None for all."""


class EntityLimit(NamedTuple):
    """A limit by a data path that admits a line's product. `contract` None: the account's."""

    id: str
    contract: str | None
    path: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for a product's lines at one event time, whatever their dimensions are.

    `period` is the billing period [start, end) of the lines' keys.
    """

    contract: str | None
    named: bool
    revision: int | None
    period: tuple[int, int]
    tariff: Tariff
    limits: tuple[EntityLimit, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A line's price and all that decided it."""

    standing: Standing
    charge: Charge


def choose(
    catalog: Catalog,
    terms: AccountTerms,
    lineages: Mapping[str, Lineage],
    product: Product,
    time: int,
    dimensions: Dimensions,
    named: str | None,
) -> Choice | Reason:
    """What prices a line of `product` at event time `time`, or why nothing does.

    `lineages` are the account's contracts by id; `named` is the contract that the event names.
    """
    found = standing(catalog, terms, lineages, product, time, named)
    charge = found.tariff.charge(dimensions)
    return charge if isinstance(charge, Reason) else Choice(found, charge)


def standing(
    catalog: Catalog,
    terms: AccountTerms,
    lineages: Mapping[str, Lineage],
    product: Product,
    time: int,
    named: str | None,
) -> Standing:
    """What holds for `product` at `time`, under the contract that covers it or the wallet."""
    covered = covering(lineages, product, time, named) if lineages else None
    if covered is None:
        return Standing(
            contract=None,
            named=False,
            revision=None,
            period=period_at(time, "monthly", None, terms.time_zone),
            tariff=_tariff(catalog, terms, product, time, None, None),
            limits=_entity_limits(terms.limits, None, product),
        )
    contract, billing = covered.contract, covered.contract.billing
    cycle, anchor = ("monthly", None) if billing is None else (billing.cycle, billing.anchor)
    return Standing(
        contract.id,
        covered.named,
        covered.revision.number,
        period_at(time, cycle, anchor, terms.time_zone),
        _tariff(catalog, terms, product, time, covered, lineages[contract.id]),
        _entity_limits(contract.limits, contract.id, product),
    )


def edges(catalog: Catalog, terms: AccountTerms, lineages: Mapping[str, Lineage]) -> list[int]:
    """The event times, rising, at which a standing may change within a billing period."""
    found = set(catalog.effective_times(terms.rate_card)) if terms.rate_card else set()
    for lineage in lineages.values():
        found.update(_lineage_edges(catalog, lineage))
    return sorted(found)


def _lineage_edges(catalog: Catalog, lineage: Lineage) -> Iterator[int]:
    if lineage.terminated_at is not None:
        yield lineage.terminated_at
    for revision in lineage.revisions:
        contract = contract_of(revision.document)
        yield from (contract.starts_at, revision.effective_at)
        if contract.ends_at is not None:
            yield contract.ends_at
        if isinstance(contract.rate_card, str):
            yield from catalog.effective_times(contract.rate_card)
        for override in contract.overrides:
            ends = (override.effective_from, override.effective_to)
            yield from (end for end in ends if end is not None)


def _tariff(
    catalog: Catalog,
    terms: AccountTerms,
    product: Product,
    time: int,
    covered: Covering | None,
    lineage: Lineage | None,
) -> Tariff:
    card: str | PinnedCard | None = terms.rate_card
    overrides: tuple[CompiledOverride, ...] = ()
    if covered is not None:
        overrides = overrides_at(covered.revision.document, product, time)
        if covered.contract.rate_card is not None:
            card = covered.contract.rate_card
    counts = _counts(catalog, terms, product, lineage)
    return Tariff(product.id, catalog.version(card, time), overrides, counts)


def _counts(
    catalog: Catalog, terms: AccountTerms, product: Product, lineage: Lineage | None
) -> bool:
    """Whether the quantity of the product's keys is kept: wherever a cumulative price is known.

    Of any version of the cards and of any revision of the contract, whether or not it is in force.
    """
    if product.meter.aggregation in ("max", "unique"):
        return True
    revisions = () if lineage is None else lineage.revisions
    contracts = [contract_of(revision.document) for revision in revisions]
    cards = {contract.rate_card for contract in contracts} | {terms.rate_card}
    identities = {card if isinstance(card, str) else card.id for card in cards if card is not None}
    return any(catalog.accumulates(identity, product.id) for identity in identities) or any(
        override.price is not None
        and override.price.cumulative
        and names(override.document, product)
        for revision in revisions
        for override in compiled_overrides(revision.document)
    )


def _entity_limits(
    limits: Sequence[LimitTerms], contract: str | None, product: Product
) -> tuple[EntityLimit, ...]:
    return tuple(
        EntityLimit(limit.id, contract, limit.by)
        for limit in limits
        if limit.by != ACCOUNT and (limit.products is None or product.id in limit.products)
    )
