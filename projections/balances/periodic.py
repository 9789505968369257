"""Recurring grants and fees: which rules run, and when each falls due next (section 3).

A scope's `next` holds a cursor for each rule, `r:<id>` or `f:<id>`: the start of the period whose
occurrence has not happened yet; `last` is the one that has. A contract's begin in
[starts_at, ends_at), an account's with the period around the journal time at which the rule became
known.
"""

from collections.abc import Iterator
from datetime import date

from projections.balances.drawing import draw_line
from projections.balances.row import WALLET, BalanceRow
from projections.balances.step import Step
from projections.balances.terms import account_terms, billing_period, terms_now
from projections.contracts import end_of
from schemas.documents import Fee, Recurring
from schemas.numbers import QUANTITY_DECIMALS
from schemas.periods import first_start_from, local_date, next_start, period_at

_ONE = 10**QUANTITY_DECIMALS


Rule = Recurring | Fee


def rules_of(row: BalanceRow, scope: str) -> dict[str, Rule]:
    """The rules in force in a scope, by the names of their cursors."""
    terms = terms_now(row, scope)
    rules: dict[str, Rule] = {f"r:{rule.id}": rule for rule in terms.recurring}
    return rules | {f"f:{fee.id}": fee for fee in terms.fees}


def next_occurrences(row: BalanceRow, scope: str) -> Iterator[tuple[int, str, Rule]]:
    """When each rule in force falls due next, with its cursor; none from a contract's end on."""
    counted = row.scopes[scope]
    if not counted.next or counted.ended:
        return
    for name, rule in rules_of(row, scope).items():
        at = counted.next[name]
        if scope == WALLET or _runs_at(row, scope, at):
            yield at, name, rule


def start_cursors(row: BalanceRow, scope: str, since: int, before: dict[str, Rule]) -> None:
    """The terms in force have changed at `since`; `before` are the rules until then.

    A rule that goes on keeps its cursor, with another cadence it goes on at the next start of its
    periods; a new one begins, so does one that is back. No period has two occurrences of a rule.
    """
    counted = row.scopes[scope]
    zone = account_terms(row.terms.document).time_zone
    for name, rule in rules_of(row, scope).items():
        old, anchor = before.get(name), _anchor(row, scope, rule)
        if old is None:
            start = _first(row, scope, rule, since)
        elif (old.cadence, old.anchor) != (rule.cadence, rule.anchor):
            start = first_start_from(since, rule.cadence, anchor, zone)
        else:
            start = first_start_from(counted.next[name], rule.cadence, anchor, zone)
        last = counted.last.get(name)
        if last is not None and start <= last:
            start = next_start(last, rule.cadence, anchor, zone)
        counted.next[name] = start


def move_on(row: BalanceRow, scope: str, name: str, rule: Rule) -> None:
    """A rule's occurrence has happened: on to its next period."""
    counted = row.scopes[scope]
    zone = account_terms(row.terms.document).time_zone
    anchor = _anchor(row, scope, rule)
    counted.last[name] = counted.next[name]
    counted.next[name] = next_start(counted.next[name], rule.cadence, anchor, zone)


def _first(row: BalanceRow, scope: str, rule: Rule, since: int) -> int:
    """A contract's begins with the first period from `since` on, an account's with that around."""
    zone = account_terms(row.terms.document).time_zone
    anchor = _anchor(row, scope, rule)
    if scope == WALLET:
        return period_at(since, rule.cadence, anchor, zone)[0]
    return first_start_from(since, rule.cadence, anchor, zone)


def _anchor(row: BalanceRow, scope: str, rule: Rule) -> date | None:
    return rule.anchor or terms_now(row, scope).anchor


def _runs_at(row: BalanceRow, contract: str, at: int) -> bool:
    end = end_of(row.terms.contracts[contract], at)
    return end is None or at < end


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
