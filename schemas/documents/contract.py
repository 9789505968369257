"""Contracts: a commitment with its own credits, terms and prices (credits.md section 3)."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from schemas.documents.fields import (
    Counted,
    Currency,
    Fault,
    Flag,
    Id,
    LocalDate,
    Match,
    Name,
    NotNegativeCredits,
    NotNegativeQuantity,
    Strict,
    Whole,
    named_twice,
)
from schemas.documents.fields import Tag as TagName
from schemas.documents.grant import Grant, GrantTerms
from schemas.documents.prices import PriceModel
from schemas.documents.terms import AlertRule, Terms, id_twice
from schemas.times import Instant, format_instant


class PinnedCard(Strict):
    """A rate card at one version, whatever takes effect later."""

    id: Id
    version: Counted


def _kind_of_card(card: object) -> str:
    return "<pinned>" if isinstance(card, dict | PinnedCard) else "<id>"


CardReference = Annotated[
    Annotated[Id, Tag("<id>")] | Annotated[PinnedCard, Tag("<pinned>")],
    Discriminator(_kind_of_card),
]
"""A rate card's id (the version in effect at event time applies), or the card at a version."""


class Covers(Strict):
    """The products that a contract pays for: those it names and those with one of its tags."""

    products: tuple[Id, ...] = Field(default=(), max_length=1_000)
    tags: tuple[TagName, ...] = Field(default=(), max_length=1_000)

    def contradictions(self) -> Iterable[Fault]:
        """Nothing at all, a product or a tag twice."""
        if not self.products and not self.tags:
            yield "products", "expected a product or a tag: to cover all, leave `covers` out"
        yield from named_twice(self.products, self.tags)


class Override(Strict):
    """Another price for a product or a tag, from `effective_from` until before `effective_to`.

    A `multiplier` floats with the list price, a `price` replaces it.
    """

    product: Id | None = None
    tag: TagName | None = None
    match: Match = Field(default={})
    multiplier: NotNegativeQuantity | None = None
    price: PriceModel | None = None
    effective_from: Instant | None = None
    effective_to: Instant | None = None

    def contradictions(self) -> Iterable[Fault]:
        """Not exactly one of product and tag, or of multiplier and price; an end that is none."""
        if self.product is None and self.tag is None:
            yield "product", "expected a product or a tag"
        if self.product is not None and self.tag is not None:
            yield "tag", "expected none: there is a product"
        if self.multiplier is None and self.price is None:
            yield "multiplier", "expected a multiplier or a price"
        if self.multiplier is not None and self.price is not None:
            yield "price", "expected none: there is a multiplier"
        start, end = self.effective_from, self.effective_to
        if start is not None and end is not None and end <= start:
            yield "effective_to", "expected later than effective_from"


class Billing(Strict):
    """The billing cycle, counted from `anchor` (None: the calendar), and how it is paid."""

    cycle: Literal["monthly", "quarterly", "annual"]
    anchor: LocalDate | None = None
    net_terms: Whole | None = None
    auto_pay: Flag = False


class Marketplace(Strict):
    """Where the contract was sold."""

    provider: Name
    offer: Name | None = None


class Payment(Strict):
    """An instalment of what the contract costs."""

    due: Instant
    amount: NotNegativeCredits
    currency: Currency


class ContractGrant(GrantTerms):
    """A block of credits of the contract. `effective_at` None: as the contract starts."""

    effective_at: Instant | None = None


class Contract(Terms):
    """A commitment of an account over [starts_at, ends_at); `ends_at` None: open-ended.

    `burn_policy` None: the account's. `covers` None: every product. `renews` is the contract that
    this one follows.
    """

    kind: Literal["Contract"] = "Contract"
    id: Id
    account: Id
    starts_at: Instant
    ends_at: Instant | None = None
    rate_card: CardReference | None = None
    covers: Covers | None = None
    overrides: tuple[Override, ...] = Field(default=(), max_length=1_000)
    alerts: tuple[AlertRule, ...] = Field(default=(), max_length=100)
    billing: Billing | None = None
    grants: tuple[ContractGrant, ...] = Field(default=(), max_length=1_000)
    seats: Whole = 1
    renews: Id | None = None
    marketplace: Marketplace | None = None
    opportunity: Name | None = None
    payment_schedule: tuple[Payment, ...] = Field(default=(), max_length=1_000)

    def contradictions(self) -> Iterable[Fault]:
        """Those of the terms, an end before the start, an id twice, a grant of no use."""
        yield from super().contradictions()
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            yield "ends_at", "expected later than starts_at"
        if self.renews == self.id:
            yield "renews", "expected another contract"
        yield from id_twice((rule.id for rule in self.alerts), "alerts")
        yield from id_twice((grant.id for grant in self.grants), "grants")
        granted = {grant.id for grant in self.grants}
        for index, rule in enumerate(self.recurring):
            if rule.id in granted:
                yield f"recurring[{index}].id", "expected an id that no grant has"
        for index, grant in enumerate(self.grants):
            yield from self._grant_faults(grant, f"grants[{index}]")

    def _grant_faults(self, grant: ContractGrant, path: str) -> Iterable[Fault]:
        start = self.starts_at if grant.effective_at is None else grant.effective_at
        if self.ends_at is not None and start >= self.ends_at:
            yield f"{path}.effective_at", "expected before the contract ends"
        if grant.expires_at is not None and grant.expires_at <= max(start, self.starts_at):
            yield f"{path}.expires_at", "expected later than effective_at and the contract's start"

    def own_grants(self) -> tuple[Grant, ...]:
        """Its `grants` as documents of their own, with what the contract says filled in."""
        return tuple(map(self._own, self.grants))

    def _own(self, grant: ContractGrant) -> Grant:
        owner = {"account": self.account, "contract": self.id}
        if grant.effective_at is None:
            owner["effective_at"] = format_instant(self.starts_at)
        return Grant.model_validate(grant.model_dump() | owner)
