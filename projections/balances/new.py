"""Grants that are to be issued: of documents, purchases and recurring rules (section 3). Pure."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from projections.balances.row import BalanceRow
from projections.balances.terms import Terms, account_terms
from schemas.documents import Document, Grant, Pack, Purchase, Recurring, Rollover, canonical
from schemas.periods import add_duration, local_date, next_start
from schemas.times import parse_duration


@dataclass(frozen=True, slots=True)
class New:
    """A grant to be issued; `expires_at` is its own end, not yet its contract's."""

    id: str
    type: Literal["prepaid", "promotional"]
    amount: int
    contract: str | None
    effective_at: int
    expires_at: int | None
    priority: int
    products: tuple[str, ...] | None
    tags: tuple[str, ...] | None
    paid: int = 0
    currency: str | None = None
    rollover: str | None = None
    request: str | None = None
    pending: bool = False
    digest: str = ""


def digest_of(document: Document) -> str:
    """What says that a document came before with the same content."""
    return blake2b(canonical(document), digest_size=16).hexdigest()


def of_document(grant: Grant, contract_starts_at: int) -> New:
    """The grant of a document; a contract's is not effective before its contract starts."""
    return New(
        grant.id,
        grant.type,
        grant.amount.units,
        grant.contract,
        max(grant.effective_at, contract_starts_at),
        grant.expires_at,
        grant.priority,
        grant.products,
        grant.tags,
        0 if grant.cost is None else grant.cost.amount.units,
        None if grant.cost is None else grant.cost.currency,
        _rollover(grant.rollover),
        grant.request,
        grant.funding == "pending",
        digest_of(grant),
    )


def of_purchase(row: BalanceRow, purchase: Purchase, pack: Pack, earliest: int) -> New:
    """The grant of a purchase, at the price that its quantity reaches.

    Effective as it says or, absent, at `earliest`: now, or as its contract starts.
    """
    quantity = purchase.quantity.units // 10**purchase.quantity.DECIMALS
    cost = pack.price_of(quantity)
    effective_at = earliest if purchase.effective_at is None else purchase.effective_at
    zone = account_terms(row.terms.document).time_zone
    expires_at = None
    if pack.expiry is not None:
        expires_at = add_duration(effective_at, parse_duration(pack.expiry), zone)
    return New(
        purchase.id,
        pack.type,
        pack.amount.units * quantity,
        purchase.contract,
        effective_at,
        expires_at,
        pack.priority,
        pack.products,
        pack.tags,
        0 if cost is None else cost.amount.units * quantity,
        None if cost is None else cost.currency,
        _rollover(pack.rollover),
        digest=digest_of(purchase),
    )


def of_rule(
    row: BalanceRow, scope: str, terms: Terms, rule: Recurring, start: int, seats: int
) -> New:
    """The occurrence of a recurring rule in the period that begins at `start`."""
    zone = account_terms(row.terms.document).time_zone
    expires_at = None
    if rule.expiry == "end_of_period":
        expires_at = next_start(start, rule.cadence, rule.anchor or terms.anchor, zone)
    elif rule.expiry is not None:
        expires_at = add_duration(start, parse_duration(rule.expiry), zone)
    return New(
        f"{rule.id}@{local_date(start, zone)}",
        rule.type,
        rule.amount.units * (seats if rule.per_seat else 1),
        scope or None,
        start,
        expires_at,
        rule.priority,
        rule.products,
        rule.tags,
        rollover=_rollover(rule.rollover),
    )


def _rollover(rollover: Rollover | None) -> str | None:
    return None if rollover is None else rollover.model_dump_json()


@lru_cache(maxsize=4096)
def rollover_of(text: str) -> Rollover:
    """The rollover that a grant's terms hold."""
    return Rollover.model_validate_json(text)
