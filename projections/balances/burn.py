"""Which grants pay for a line, in what order, and how much each (credits.md section 4). Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from projections.balances.row import WALLET, BalanceRow, GrantRow
from projections.balances.terms import account_terms, terms_at
from schemas.documents import DEFAULT_BURN_POLICY

_NEVER: Final = 1 << 62
_UNLIMITED: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Draw:
    """A line that asks for credits: of a product with its tags, at event time `time`.

    `clock` is journal time, `scope` the contract that covers it or WALLET.
    """

    product: str
    tags: tuple[str, ...]
    scope: str
    time: int
    clock: int


@dataclass(frozen=True, slots=True)
class Slice:
    """What one grant pays of a line; `reopened` where it comes out of the grant's expired part."""

    grant: GrantRow
    amount: int
    reopened: bool


def spendable(grant: GrantRow, time: int, clock: int, late_grace: int) -> int:
    """What a line of event time `time` may draw from `grant` at journal time `clock`."""
    terms = grant.terms
    if time < terms.root_effective_at:
        return 0
    if grant.state in ("active", "scheduled"):
        return grant.free if terms.expires_at is None or time < terms.expires_at else 0
    if grant.state != "expired" or terms.expires_at is None:
        return 0
    within = time < terms.expires_at and clock < terms.expires_at + late_grace
    return grant.expired if within else 0


def admits(grant: GrantRow, product: str, tags: Iterable[str]) -> bool:
    """May the grant pay for this product? Its products and tags are a union; none: any."""
    terms = grant.terms
    if terms.products is None and terms.tags is None:
        return True
    if terms.products is not None and product in terms.products:
        return True
    return terms.tags is not None and any(tag in terms.tags for tag in tags)


def belongs(grant: GrantRow, scope: str) -> bool:
    """May the grant pay for usage of the scope? A contract's credits stay with the contract."""
    return grant.terms.contract is None or grant.terms.contract == scope


def _specificity(grant: GrantRow) -> tuple[int, int]:
    products, tags = grant.terms.products, grant.terms.tags
    if products is not None:
        return (0, len(products))
    return (1, len(tags)) if tags is not None else (2, 0)


class _Basis:
    """Cost basis as a fraction, so that any two compare exactly: paid / issued."""

    __slots__ = ("issued", "paid")

    def __init__(self, grant: GrantRow) -> None:
        self.paid, self.issued = grant.terms.paid, max(grant.issued, 1)

    def __lt__(self, other: "_Basis") -> bool:
        return self.paid * other.issued < other.paid * self.issued

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Basis) and self.paid * other.issued == other.paid * self.issued

    __hash__ = None  # type: ignore[assignment]


class _Highest(_Basis):
    __slots__ = ()

    def __lt__(self, other: "_Basis") -> bool:
        return self.paid * other.issued > other.paid * self.issued


_KEYS: Final[dict[str, Callable[[GrantRow], Any]]] = {
    "priority": lambda grant: grant.terms.priority,
    "contract_first": lambda grant: grant.terms.contract is None,
    "wallet_first": lambda grant: grant.terms.contract is not None,
    "promotional_first": lambda grant: grant.terms.type != "promotional",
    "prepaid_first": lambda grant: grant.terms.type != "prepaid",
    "rolled_over_first": lambda grant: grant.terms.times == 0,
    "specificity": _specificity,
    "expires_at": lambda grant: (
        _NEVER if grant.terms.expires_at is None else grant.terms.expires_at
    ),
    "effective_at": lambda grant: grant.terms.root_effective_at,
    "cost_basis": lambda grant: (grant.terms.currency or "", _Basis(grant)),
    "-cost_basis": lambda grant: (
        grant.terms.currency is None,
        grant.terms.currency or "",
        _Highest(grant),
    ),
    "issued_at": lambda grant: grant.terms.number,
}


@lru_cache(maxsize=1024)
def burn_order(policy: tuple[str, ...] | None) -> Callable[[GrantRow], tuple[Any, ...]]:
    """The sort key of a burn policy (4.6 to 4.17); the last tie-break is the id."""
    keys = [_KEYS[name] for name in policy or DEFAULT_BURN_POLICY]
    return lambda grant: (*[key(grant) for key in keys], grant.id)


def order_for(row: BalanceRow, scope: str, time: int) -> Callable[[GrantRow], tuple[Any, ...]]:
    """The burn order of a scope's revision in force at `time`, else of the account."""
    policy = terms_at(row, scope, time).burn_policy
    if policy is None and scope != WALLET:
        policy = account_terms(row.terms.document).wallet.burn_policy
    return burn_order(policy)


def candidates(row: BalanceRow, ask: Draw) -> list[GrantRow]:
    """The grants that can pay for a line, in burn order."""
    grace = account_terms(row.terms.document).late_grace
    able = [
        grant
        for grant in row.grants
        if belongs(grant, ask.scope)
        and spendable(grant, ask.time, ask.clock, grace) > 0
        and admits(grant, ask.product, ask.tags)
    ]
    if len(able) > 1:
        able.sort(key=order_for(row, ask.scope, ask.time))
    return able


def slices_for(row: BalanceRow, ask: Draw, cost: int) -> tuple[list[Slice], int]:
    """The slices that pay for `cost`, one per grant touched, and what is left: the shortfall.

    Changes nothing. The entitlement check asks the same question.
    """
    slices, left = [], cost
    grace = account_terms(row.terms.document).late_grace
    for grant in candidates(row, ask):
        if not left:
            break
        amount = min(left, spendable(grant, ask.time, ask.clock, grace))
        slices.append(Slice(grant, amount, grant.state == "expired"))
        left -= amount
    return slices, left
