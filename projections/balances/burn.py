"""Which grants pay for a line, in what order, and how much each (credits.md section 4). Pure."""

from dataclasses import dataclass
from typing import Final

from projections.balances.row import BalanceRow, GrantRow

_NEVER: Final = 1 << 62
_UNLIMITED: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Slice:
    """What one grant pays of a line; `reopened` where it comes out of the grant's expired part."""

    grant: GrantRow
    amount: int
    reopened: bool


def spendable(grant: GrantRow, time: int, clock: int, late_grace: int) -> int:
    """What a line of event time `time` may draw from `grant` at journal time `clock` (rule 4.1)."""
    if time < grant.effective_at:
        return 0
    if grant.expires_at is None:
        return grant.remaining
    if time >= grant.expires_at:
        return 0
    if grant.state != "expired":
        return grant.remaining
    return grant.expired if clock < grant.expires_at + late_grace else 0


def admits(grant: GrantRow, product: str) -> bool:
    """May the grant pay for this product?"""
    return grant.products is None or product in grant.products


BurnKey = tuple[int, int, int, int, int, str]


def burn_key(grant: GrantRow) -> BurnKey:
    """The default burn order: priority, specificity, expiry, promotional first, effective, id.

    `contract_first` stands second in the default policy; customer-level grants are equal in it.
    """
    return (
        grant.priority,
        _UNLIMITED if grant.products is None else len(grant.products),
        _NEVER if grant.expires_at is None else grant.expires_at,
        0 if grant.type == "promotional" else 1,
        grant.effective_at,
        grant.id,
    )


def candidates(
    row: BalanceRow, product: str, time: int, clock: int, late_grace: int
) -> list[GrantRow]:
    """The grants that can pay for a line, in burn order."""
    able = (
        grant
        for grant in row.grants
        if admits(grant, product) and spendable(grant, time, clock, late_grace) > 0
    )
    return sorted(able, key=burn_key)


def draw(
    row: BalanceRow, product: str, cost: int, time: int, clock: int, late_grace: int
) -> tuple[list[Slice], int]:
    """The slices that pay for `cost`, one per grant touched, and what is left: overage.

    Changes nothing. The entitlement check asks the same question.
    """
    slices, left = [], cost
    for grant in candidates(row, product, time, clock, late_grace):
        if not left:
            break
        amount = min(left, spendable(grant, time, clock, late_grace))
        slices.append(Slice(grant, amount, grant.state == "expired"))
        left -= amount
    return slices, left


def take(part: Slice) -> None:
    """Move a slice to consumed: out of what remains, or out of what had expired."""
    if part.reopened:
        part.grant.expired -= part.amount
    else:
        part.grant.remaining -= part.amount
    part.grant.consumed += part.amount
