"""What falls due for an account, and when (credits.md section 2): what is due happens first.

Items are derived from the row whenever it has taken the slow way, never kept. At one instant: ends
of holds, revisions and terminations, ends of billing periods, expiries, recurring grants, grants
becoming effective, fees, top-up, notices of expiry, retirements; each by id.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from projections.balances import overage, top_up
from projections.balances.alerts import GRANT_EXPIRING, Cause
from projections.balances.endings import retire, terminate
from projections.balances.holds import expire_holds
from projections.balances.lifecycle import activate, expire, issue
from projections.balances.measures import (
    EXPIRING,
    alert_scopes,
    concerns,
    evaluate,
    forget_removed,
    may_tell,
)
from projections.balances.new import of_rule
from projections.balances.periodic import (
    draw_fee,
    move_on,
    next_occurrences,
    rules_of,
    start_cursors,
)
from projections.balances.row import ENDED, BalanceRow, GrantRow, within
from projections.balances.step import Step
from projections.balances.terms import Rule, account_terms, terms_now
from schemas.documents import Fee, Recurring
from schemas.periods import subtract_days

(
    _HOLDS,
    _REVISION,
    _PERIOD,
    _EXPIRY,
    _RECURRING,
    _EFFECTIVE,
    _FEE,
    _TOP_UP,
    _NOTICE,
    _RETIRED,
) = range(10)
_ONE_DAY: Final = 10**9
"""A threshold of one day, in units."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that falls due at `at`; `order` and `id` decide at one instant."""

    at: int
    order: int
    id: str
    happen: Callable[[Step], None]


def next_due(row: BalanceRow) -> int | None:
    """The earliest instant at which something is due for the account; None for nothing."""
    return min((item.at for item in items(row)), default=None)


def do_what_is_due(row: BalanceRow, clock: int, step: Step) -> bool:
    """Everything due for the account up to `clock`, in order; gives whether anything was.

    Stamped with the later of its due time and the journal time at which it became known: ticks
    bound the delay and change no result. Leaves `step.now` at the record.
    """
    if row.due is None or row.due > clock:
        return False
    while (due := next_due(row)) is not None and due <= clock:
        step.instant = due
        stamp = max(due, row.clock)
        last = ""
        while batch := [item for item in items(row) if item.at == due]:
            item = min(batch, key=lambda item: (item.order, item.id))
            last = item.id
            step.now = Cause(stamp, f"{item.id}@{due}", step.position)
            item.happen(step)
            row.clock = stamp
        step.now = Cause(stamp, f"{last}@{due}", step.position)
        evaluate(row, step)
    step.now = step.cause()
    step.instant = step.now.at
    settle(row)
    return True


def settle(row: BalanceRow) -> None:
    """After the slow way: what is derived from the row is made anew."""
    row.due = next_due(row)
    row.plan = row.settled = None


def items(row: BalanceRow) -> Iterator[Item]:
    """Everything that will fall due, as the row stands: of all open holds the first to end."""
    if row.holds_until is not None:
        yield Item(row.holds_until, _HOLDS, "hold|", partial(expire_holds, row))
    for name in row.terms.contracts:
        yield from _of_contract(row, name)
    for grant in row.grants:
        yield from _of_grant(row, grant)
    for scope, counted in row.scopes.items():
        if counted.period_end is not None:
            happen = partial(overage.end_period, row, scope)
            yield Item(counted.period_end, _PERIOD, f"overage|{scope}", happen)
        for at, name, rule in next_occurrences(row, scope):
            order = _FEE if isinstance(rule, Fee) else _RECURRING
            yield Item(at, order, rule.id, partial(_occur, row, scope, name, rule))
    for scope, terms in top_up.scopes_with_rule(row):
        timeout = top_up.timeout_at(row, scope, terms)
        if timeout is not None:
            happen = partial(top_up.fail, row, scope, terms)
            yield Item(timeout, _TOP_UP, f"top_up|{scope}", happen)
        ready = top_up.ready_at(row, scope, terms)
        if ready is not None and ready > row.clock:
            yield Item(ready, _TOP_UP, f"ready|{scope}", _pass)
    yield from _notices(row)


def _pass(_step: Step) -> None:
    """Nothing but the time: the evaluation after it asks for credits."""


def _of_contract(row: BalanceRow, name: str) -> Iterator[Item]:
    lineage, counted = row.terms.contracts[name], row.scopes[name]
    if counted.revision < len(lineage.revisions):
        revision = lineage.revisions[counted.revision]
        happen = partial(_begin_revision, row, name)
        yield Item(revision.effective_at, _REVISION, f"{name}#{revision.number:09d}", happen)
    if lineage.terminated_at is not None and not counted.ended:
        assert lineage.policy is not None, lineage
        yield Item(
            lineage.terminated_at,
            _REVISION,
            f"{name}#end",
            partial(terminate, row, name, lineage.policy),
        )


def _of_grant(row: BalanceRow, grant: GrantRow) -> Iterator[Item]:
    if grant.state in ENDED:
        assert grant.ended_at is not None, grant
        if grant.held:
            return
        grace = account_terms(row.terms.document).late_grace
        yield Item(grant.ended_at + grace, _RETIRED, grant.id, partial(retire, row, grant))
        return
    begins, ends = grant.terms.effective_at, grant.terms.expires_at
    if grant.state == "scheduled" and (ends is None or begins < ends):
        yield Item(begins, _EFFECTIVE, grant.id, partial(activate, row, grant))
    elif ends is not None:  # also of what its contract's end overtakes before it begins
        yield Item(ends, _EXPIRY, grant.id, partial(expire, row, grant))


def _begin_revision(row: BalanceRow, contract: str, _step: Step) -> None:
    counted = row.scopes[contract]
    revision = row.terms.contracts[contract].revisions[counted.revision]
    before = rules_of(row, contract) if counted.revision else {}
    counted.revision = revision.number
    start_cursors(row, contract, revision.effective_at, before)
    forget_removed(row)


def _occur(row: BalanceRow, scope: str, name: str, rule: Recurring | Fee, step: Step) -> None:
    """A recurring grant or a fee of the period that its cursor stands at; on to the next."""
    counted = row.scopes[scope]
    start = counted.next[name]
    move_on(row, scope, name, rule)
    seats = 1 if counted.seats is None else counted.seats
    if isinstance(rule, Fee):
        draw_fee(row, scope, rule, start, seats, step)
        return
    new = of_rule(row, scope, terms_now(row, scope), rule, start, seats)
    if new.amount:
        issue(row, new, step)


def _notices(row: BalanceRow) -> Iterator[Item]:
    """`grant_expiring`: so many days before a grant's end, once."""
    zone = account_terms(row.terms.document).time_zone
    for scope, rules in alert_scopes(row):
        for rule in rules:
            if rule.measure != EXPIRING:
                continue
            for grant in within(row, scope):
                end = grant.terms.expires_at
                if grant.state != "active" or end is None:
                    continue
                for text, days in rule.thresholds:
                    if (scope, rule.id, text, grant.id) in row.fired:
                        continue
                    at = subtract_days(end, days // _ONE_DAY, zone)
                    yield Item(
                        max(at, grant.terms.effective_at),
                        _NOTICE,
                        f"{scope}|{rule.id}|{text}|{grant.id}",
                        partial(_notify, row, scope, rule, text, grant),
                    )


def _notify(
    row: BalanceRow, scope: str, rule: Rule, threshold: str, grant: GrantRow, step: Step
) -> None:
    told = (
        grant.remaining > 0
        and concerns(rule, grant, step.books)
        and may_tell(row, scope, rule, threshold, step.now.at)
    )
    row.fired[scope, rule.id, threshold, grant.id] = told
    if told:
        step.alert(
            GRANT_EXPIRING,
            row.account,
            grant.terms.contract,
            rule=rule.id,
            threshold=threshold,
            grant=grant.id,
            amount=grant.remaining,
        )
