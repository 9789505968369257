"""Recurring grants and fees: which rules run, and when each falls due next (section 3).

A scope's `next` holds a cursor for each rule, `r:<id>` or `f:<id>`: the start of the period whose
occurrence is due. A contract's begin in [starts_at, ends_at); an account's with the period that
contains the journal time at which the rule became known.
"""

from collections.abc import Iterator
from typing import Any

from projections.balances.drawing import draw_line
from projections.balances.row import WALLET, BalanceRow
from projections.balances.step import Step
from projections.balances.terms import account_terms, billing_period, terms_now
from projections.contracts import end_of
from schemas.documents import Fee, Recurring
from schemas.numbers import QUANTITY_DECIMALS
from schemas.periods import first_start_from, local_date, next_start, period_at

_ONE = 10**QUANTITY_DECIMALS


def rules_of(row: BalanceRow, scope: str) -> Iterator[tuple[str, Recurring | Fee]]:
    """The rules in force in a scope, by the names of their cursors."""
    terms = terms_now(row, scope)
    yield from ((f"r:{rule.id}", rule) for rule in terms.recurring)
    yield from ((f"f:{fee.id}", fee) for fee in terms.fees)


def rule_of(row: BalanceRow, scope: str, name: str) -> Any:  # noqa: ANN401 - Recurring or Fee
    """The rule of a cursor, None where the terms in force have it no more."""
    return dict(rules_of(row, scope)).get(name)


def start_cursors(row: BalanceRow, scope: str, since: int) -> None:
    """The terms in force have changed at `since`: forget rules that are gone, begin new ones."""
    counted = row.scopes[scope]
    rules = dict(rules_of(row, scope))
    counted.next = {name: at for name, at in counted.next.items() if name in rules}
    for name, rule in rules.items():
        if name not in counted.next:
            start = _first(row, scope, rule, since)
            if start is not None:
                counted.next[name] = start


def _first(row: BalanceRow, scope: str, rule: Recurring | Fee, since: int) -> int | None:
    zone = account_terms(row.terms.document).time_zone
    if scope == WALLET:
        return period_at(since, rule.cadence, rule.anchor, zone)[0]
    anchor = rule.anchor or terms_now(row, scope).anchor
    return _before_end(row, scope, first_start_from(since, rule.cadence, anchor, zone))


def next_after(row: BalanceRow, scope: str, name: str, start: int) -> int | None:
    """The start of the period after the one at `start`; None where the contract ends before."""
    rule = rule_of(row, scope, name)
    if rule is None:
        return None
    zone = account_terms(row.terms.document).time_zone
    anchor = rule.anchor or terms_now(row, scope).anchor
    following = next_start(start, rule.cadence, anchor, zone)
    return following if scope == WALLET else _before_end(row, scope, following)


def _before_end(row: BalanceRow, scope: str, start: int) -> int | None:
    end = end_of(row.terms.contracts[scope], start)
    return start if end is None or start < end else None


def draw_fee(row: BalanceRow, scope: str, fee: Fee, start: int, seats: int, step: Step) -> None:
    """Draw a fee like a line of its product at its due time."""
    zone = account_terms(row.terms.document).time_zone
    period, _ = billing_period(row, terms_now(row, scope), start)
    count = seats if fee.per_seat else 1
    line = {
        "source": None,
        "id": f"{fee.id}@{local_date(start, zone)}",
        "time": start,
        "product": fee.product,
        "contract": scope or None,
        "named": None,
        "revision": row.scopes[scope].revision or None,
        "override": None,
        "rate_card": None,
        "version": None,
        "match": f"fee:{fee.id}",
        "period": period,
        "price": None,
        "before": None,
        "quantity": count * _ONE,
        "cost": fee.amount.units * count,
        "entities": None,
        "mirror": None,
    }
    draw_line(row, line, step)
