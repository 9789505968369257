"""Overage: what no grant paid, and how it goes away again (credits.md section 5)."""

from dataclasses import dataclass
from typing import Final

from projections.balances.alerts import OVERAGE_CAPPED, OVERAGE_DUE, OVERAGE_STARTED
from projections.balances.burn import admits, belongs
from projections.balances.postings import REPAID, SETTLED
from projections.balances.row import BalanceRow, GrantRow, Owed
from projections.balances.step import Step
from projections.balances.terms import (
    account_terms,
    billing_period,
    cap_of,
    terms_at,
    terms_now,
)
from schemas.numbers import CREDIT_DECIMALS, format_units, round_half_even
from schemas.periods import local_day

_INVOICED: Final = ""
"""The key of what stands until it is settled: no key of a line is empty."""
_MOST: Final = 128
"""Places of an account: beyond them a key's overage is as old as its oldest."""

Place = tuple[str, str, int]
"""Scope, key and local day of what is owed."""


@dataclass(frozen=True, slots=True)
class Debtor:
    """Whose overage moves: the line's scope, key and product, and its event time."""

    scope: str
    key: str
    product: str
    time: int


def move(row: BalanceRow, debtor: Debtor, amount: int, step: Step) -> None:
    """Add `amount` (negative: take away) to what is owed for a key; tell of what that reaches."""
    scope = debtor.scope
    counted = row.scopes[scope]
    before = counted.overage
    counted.overage += amount
    counted.added += amount
    if counted.period_end is None:
        terms = terms_now(row, scope)
        counted.period_end = billing_period(row, terms, step.now.at)[1]
    if amount < 0:
        amount += _take_off(row, scope, debtor.key, -amount)
    if amount:
        place = owed_place(row, scope, debtor.key, debtor.time, step.now.at)
        _add(row, place, debtor.product if place[1] else None, amount)
    if before <= 0 < counted.overage:
        counted.started_at = step.now.at
        step.alert(OVERAGE_STARTED, row.account, scope, amount=counted.overage)


def owed_place(row: BalanceRow, scope: str, key: str, time: int, clock: int) -> Place:
    """Where overage of a key is kept: in one sum, or where grants repay it by key and local day.

    By the terms in force at event time `time`; the day is that of journal time.
    """
    if terms_at(row, scope, time).overage.settle == "invoice":
        return scope, _INVOICED, 0
    day = local_day(clock, account_terms(row.terms.document).time_zone)[0]
    if len(row.owed) >= _MOST:
        return next((place for place in row.owed if place[:2] == (scope, key)), (scope, key, day))
    return scope, key, day


def _add(row: BalanceRow, place: Place, product: str | None, amount: int) -> None:
    owed = row.owed.setdefault(place, Owed(product, 0))
    owed.amount += amount
    if not owed.amount:
        del row.owed[place]


def _take_off(row: BalanceRow, scope: str, key: str, amount: int) -> int:
    """Take up to `amount` off what is owed for a key, the latest first; gives how much."""
    left = amount
    for place in [place for place in reversed(row.owed) if place[:2] == (scope, key)]:
        part = min(left, max(row.owed[place].amount, 0))
        left -= part
        _add(row, place, None, -part)
    return amount - left


def evaluate_cap(row: BalanceRow, scope: str, step: Step) -> None:
    """After each step: tell of a cap that is reached; forget what no longer holds."""
    counted = row.scopes[scope]
    if counted.overage <= 0:
        counted.started_at = None
    cap = cap_of(terms_now(row, scope).overage, counted)
    capped = cap is not None and 0 < counted.overage >= cap
    if cap is not None and capped and not counted.capped:
        step.alert(
            OVERAGE_CAPPED,
            row.account,
            scope,
            threshold=format_units(cap, CREDIT_DECIMALS),
            amount=counted.overage,
        )
    counted.capped = capped


def settle(row: BalanceRow, scope: str, amount: int, reference: str, step: Step) -> None:
    """`settle_overage`: pay `amount`, the oldest first; there is at least so much."""
    left = amount
    for place, owed in list(row.owed.items()):
        if place[0] != scope or owed.amount <= 0:
            continue
        paid = min(left, owed.amount)
        left -= paid
        _add(row, place, None, -paid)
        if not left:
            break
    row.scopes[scope].overage -= amount
    step.post(row.account, SETTLED, None, amount, reference=reference, contract=scope)


def repay(row: BalanceRow, grant: GrantRow, step: Step) -> None:
    """`settle: next_grant`: a grant that is funded and effective for the first time repays."""
    for place, owed in list(row.owed.items()):
        scope, key, _ = place
        if not grant.remaining:
            return
        if (
            owed.product is None
            or owed.amount <= 0
            or not belongs(grant, scope)
            or not admits(grant, owed.product, step.books.tags(owed.product))
        ):
            continue
        amount = min(grant.remaining, owed.amount)
        grant.remaining -= amount
        grant.consumed += amount
        row.scopes[scope].overage -= amount
        _add(row, place, None, -amount)
        tally = step.books.tally(row.account, key)
        short = round_half_even(tally.short * amount, tally.overage) if tally.overage else 0
        tally.overage -= amount
        tally.short -= short
        tally.drawn[grant.id] = tally.drawn.pop(grant.id, 0) + amount
        step.books.put_tally(row.account, key, tally)
        step.post(row.account, REPAID, grant.id, amount, reference=key, contract=scope)


def end_period(row: BalanceRow, scope: str, step: Step) -> None:
    """A billing period ends: tell what it added."""
    counted = row.scopes[scope]
    added, counted.added, counted.period_end = counted.added, 0, None
    if added:
        step.alert(OVERAGE_DUE, row.account, scope, amount=added)
