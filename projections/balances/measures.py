"""The measures of an account after one step, and the thresholds they cross (credits.md section 7).

Edge-triggered: a threshold fires once, at or beyond it, and is armed again when the value is back
on the good side.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from projections.balances.alerts import DEPLETED, LOW, RECOVERED
from projections.balances.books import Books
from projections.balances.burn import admits
from projections.balances.days import mean_spent
from projections.balances.overage import evaluate_cap
from projections.balances.row import ACCOUNT, BalanceRow, GrantRow, available_in, within
from projections.balances.step import Step
from projections.balances.terms import Rule, account_terms, terms_now
from projections.balances.top_up import request_where_due
from schemas.numbers import CREDIT_DECIMALS
from schemas.periods import local_day

_ONE: Final = 10**CREDIT_DECIMALS
_HUNDRED: Final = 100 * _ONE
EXPIRING: Final = "grant_expiring"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the thresholds of one rule are compared with, in units.

    `spent` is the net cost of the last completed days and their number, None without data.
    """

    available: int
    consumed: int
    issued: int
    spent: tuple[int, int] | None

    def reached(self, measure: str, threshold: int) -> bool | None:
        """Is the measure at or beyond the threshold, on its bad side? None: no data."""
        if measure == "consumed_percent":
            return self.consumed * _HUNDRED >= threshold * self.issued
        if measure == "remaining_percent":
            return self.available * _HUNDRED <= threshold * self.issued
        if measure == "remaining_amount":
            return self.available <= threshold
        assert measure == "days_left", measure
        if self.spent is None:
            return None
        total, days = self.spent
        return self.available * days * _ONE <= threshold * total

    def room(self, measure: str, threshold: int) -> int | None:
        """How much can be consumed before the threshold is reached; None: it never is."""
        if measure == "consumed_percent":
            return -(-threshold * self.issued // _HUNDRED) - 1 - self.consumed
        if measure == "remaining_percent":
            return self.available - threshold * self.issued // _HUNDRED - 1
        if measure == "remaining_amount":
            return self.available - threshold - 1
        assert measure == "days_left", measure
        if self.spent is None:
            return None
        total, days = self.spent
        return self.available - threshold * total // (days * _ONE) - 1


def alert_scopes(row: BalanceRow) -> Iterator[tuple[str, tuple[Rule, ...]]]:
    """What alerts are about, with their rules: the account, then its contracts by id."""
    for scope in sorted(row.scopes):
        if scope == ACCOUNT or row.scopes[scope].revision:
            yield scope, terms_now(row, scope).rules


def measured(row: BalanceRow, scope: str, rule: Rule, clock: int, books: Books) -> Measured | None:
    """The measure of a rule; None where nothing active was issued: no data, states stay."""
    active = [grant for grant in within(row, scope) if grant.state == "active"]
    active = [grant for grant in active if concerns(rule, grant, books)]
    if not sum(grant.issued for grant in active):
        return None
    spent = None
    if rule.measure == "days_left":
        zone = account_terms(row.terms.document).time_zone
        spent = mean_spent(row.scopes[scope], clock, zone)
    return Measured(
        sum(grant.free for grant in active),
        sum(grant.consumed for grant in active),
        sum(grant.issued for grant in active),
        spent,
    )


def concerns(rule: Rule, grant: GrantRow, books: Books) -> bool:
    """Whether the grant may pay for one of the products that the rule is about."""
    if rule.products is None:
        return True
    return any(admits(grant, product, books.tags(product)) for product in rule.products)


def evaluate(row: BalanceRow, step: Step) -> None:
    """After a line, a command, or all that is due at one instant: what there is to tell."""
    for scope, rules in alert_scopes(row):
        for rule in rules:
            if rule.measure != EXPIRING:
                _by_rule(row, scope, rule, step)
    for scope, _ in alert_scopes(row):
        available = available_in(row, scope)
        counted = row.scopes[scope]
        if counted.above_zero and available == 0:
            step.alert(DEPLETED, row.account, _contract(scope), available=0)
        counted.above_zero = available > 0
    for scope in row.scopes:
        if scope != ACCOUNT:
            evaluate_cap(row, scope, step)
    request_where_due(row, step)
    step.end_moment()


def _by_rule(row: BalanceRow, scope: str, rule: Rule, step: Step) -> None:
    found = measured(row, scope, rule, step.now.at, step.books)
    if found is None:
        return
    for text, threshold in rule.thresholds:
        beyond = found.reached(rule.measure, threshold)
        key = (scope, rule.id, text, "")
        if beyond is None or beyond == (key in row.fired):
            continue
        if beyond:
            said = row.fired[key] = may_tell(row, scope, rule, text, step.now.at)
        else:
            said = row.fired.pop(key)
        if said:
            step.alert(
                LOW if beyond else RECOVERED,
                row.account,
                _contract(scope),
                rule=rule.id,
                threshold=text,
                available=found.available,
                issued=found.issued,
            )


def may_tell(row: BalanceRow, scope: str, rule: Rule, threshold: str, clock: int) -> bool:
    """`at_most_daily`: not again on a local day on which this threshold was told."""
    if not rule.at_most_daily:
        return True
    day, _ = local_day(clock, account_terms(row.terms.document).time_zone)
    key = (scope, rule.id, threshold)
    if row.told.get(key) == day:
        return False
    row.told[key] = day
    return True


def forget_removed(row: BalanceRow) -> None:
    """After terms changed: states of thresholds that are gone go; new ones are armed.

    That a grant's end was told stays with the grant: it is told once.
    """
    kept = {
        (scope, rule.id, text)
        for scope, rules in alert_scopes(row)
        for rule in rules
        for text, _ in rule.thresholds
    }
    row.fired = {key: said for key, said in row.fired.items() if key[3] or key[:3] in kept}
    row.told = {key: day for key, day in row.told.items() if key in kept}


def _contract(scope: str) -> str | None:
    return None if scope == ACCOUNT else scope
