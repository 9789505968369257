"""Automatic top-up: when to ask for credits, and when not to ask again (credits.md section 5)."""

from collections.abc import Iterator
from typing import Final

from projections.balances.alerts import TOPUP_REQUESTED
from projections.balances.row import ACCOUNT, WALLET, BalanceRow, GrantRow, TopUp, available_in
from projections.balances.step import Step
from projections.balances.terms import TopUpRule, billing_period, terms_now
from projections.contracts import end_of
from schemas.times import DAY

_LONGEST: Final = DAY
_DOUBLINGS: Final = 40
"""More of them make no difference: the backoff is P1D by then, whatever the cooldown."""


def scopes_with_rule(row: BalanceRow) -> Iterator[tuple[str, TopUpRule]]:
    """The scopes that ask for credits by themselves: the wallet, then contracts by id."""
    for scope in sorted(row.scopes):
        if scope == ACCOUNT or (scope != WALLET and not _runs(row, scope)):
            continue
        rule = terms_now(row, scope).top_up
        if rule is not None:
            yield scope, rule


def _runs(row: BalanceRow, scope: str) -> bool:
    counted = row.scopes[scope]
    if not counted.revision or counted.ended:
        return False
    end = end_of(row.terms.contracts[scope], row.clock)
    return end is None or row.clock < end


def request_where_due(row: BalanceRow, step: Step) -> None:
    """Ask for credits in each scope that is below its threshold and may ask now."""
    for scope, rule in scopes_with_rule(row):
        if ready_at(row, scope, rule) != step.now.at:
            continue
        state = _state(row, scope)
        start, _ = billing_period(row, terms_now(row, scope), step.now.at)
        state.used = state.used + 1 if state.period == start else 1
        state.period = start
        state.number += 1
        state.request = f"{scope or 'wallet'}-{state.number}"
        state.requested_at = step.now.at
        state.ready_at = step.now.at + rule.cooldown
        amount = rule.target - available_in(row, scope)
        step.alert(TOPUP_REQUESTED, row.account, scope, request=state.request, amount=amount)


def ready_at(row: BalanceRow, scope: str, rule: TopUpRule) -> int | None:
    """When the scope may ask, now (the row's clock) at the earliest; None: not for now."""
    if available_in(row, scope) >= rule.threshold:
        return None
    state = row.scopes[scope].top_up or TopUp()
    if state.request is not None or state.failures >= rule.max_failures:
        return None
    at = max(row.clock, state.ready_at)
    if rule.max_per_period is not None and state.used >= rule.max_per_period:
        start, end = billing_period(row, terms_now(row, scope), row.clock)
        if state.period == start:
            return max(at, end)
    return at


def timeout_at(row: BalanceRow, scope: str, rule: TopUpRule) -> int | None:
    """When the request in flight has failed by itself."""
    state = row.scopes[scope].top_up
    if state is None or state.request is None:
        return None
    return state.requested_at + rule.timeout


def fail(row: BalanceRow, scope: str, rule: TopUpRule, step: Step) -> None:
    """The request in flight has failed: back off."""
    state = _state(row, scope)
    state.request = None
    state.failures += 1
    wait = min(rule.cooldown << min(state.failures, _DOUBLINGS), _LONGEST)
    state.ready_at = max(state.ready_at, step.now.at + wait)


def fail_by_name(row: BalanceRow, request: str, step: Step) -> bool:
    """`top_up_failed`; False where no such request is in flight."""
    for scope, rule in scopes_with_rule(row):
        if (state := row.scopes[scope].top_up) is not None and state.request == request:
            fail(row, scope, rule, step)
            return True
    return False


def answered(row: BalanceRow, grant: GrantRow) -> None:
    """A grant was funded: it ends the request that it names, and any series of failures."""
    own = grant.terms.contract or WALLET
    for scope, counted in row.scopes.items():
        state = counted.top_up
        if state is None:
            continue
        if grant.terms.request is not None and state.request == grant.terms.request:
            state.request = None
        if scope == own and state.failures:
            rule = terms_now(row, scope).top_up
            state.failures = 0
            state.ready_at = state.requested_at + (0 if rule is None else rule.cooldown)


def _state(row: BalanceRow, scope: str) -> TopUp:
    state = row.scopes[scope].top_up
    if state is None:
        state = row.scopes[scope].top_up = TopUp()
    return state
