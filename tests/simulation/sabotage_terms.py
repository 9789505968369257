"""Clauses of the domain to take out: limits, overage, top-ups, lives of grants, contracts.

A replay agrees with each: only the auditor can tell.
"""

from typing import Final

from projections.balances import (
    authorise,
    burn,
    endings,
    lifecycle,
    limits,
    measures,
    new,
    overage,
    periodic,
    top_up,
)
from tests.simulation.run import Change
from tests.simulation.spoiling import altered, silent_about

TERMS: Final[dict[str, Change]] = {
    "a limit denies": altered(
        limits.Use.passed_by, "self.used + cost > self.limit.amount.units", "False"
    ),
    "a limit is by its period": altered(
        limits.limits_of, "period_at(time, limit.period, None, zone)", "(0, 0)"
    ),
    "a limit is of its products": altered(limits.limits_of, "limit.products is not None", "False"),
    "a limit that is reached is told": silent_about("credits.limit.reached"),
    "a limit is reached once": altered(limits.count, "and not limit_row.reached", ""),
    "a cap denies": altered(authorise._denial, "scope.overage + owed > cap", "False"),
    "a cap is of what was funded": altered(
        lifecycle._begin, "row.scopes[terms.contract or WALLET].issued += grant.issued", "pass"
    ),
    "a cap that is reached is told": silent_about("credits.overage.capped"),
    "a cap is reached once": altered(overage.evaluate_cap, "and not counted.capped", ""),
    "grace ends": altered(authorise._denial, 'return "grace" if', "return None if"),
    "what a period added is told": silent_about("credits.overage.due"),
    "a top-up is asked for": silent_about("credits.topup.requested"),
    "a top-up asks for what lacks": altered(
        top_up.request_where_due, "rule.target - available_in(row, scope)", "rule.target"
    ),
    "a top-up cools down": altered(
        top_up.request_where_due, "step.now.at + rule.cooldown", "step.now.at"
    ),
    "a top-up times out": altered(
        top_up.timeout_at, "state is None or state.request is None", "True"
    ),
    "a failure backs off": altered(
        top_up.fail, "max(state.ready_at, step.now.at + wait)", "state.ready_at"
    ),
    "only so many failures": altered(top_up.ready_at, "or state.failures >= rule.max_failures", ""),
    "only so many requests a period": altered(
        top_up.ready_at, "state.used >= rule.max_per_period", "False"
    ),
    "a grant answers its request": altered(
        top_up.answered, "grant.terms.request is not None and", "False and"
    ),
    "an expiry is told": silent_about("credits.grant.expired"),
    "what rolls over is told": silent_about("credits.grant.rolled_over"),
    "a void is told": silent_about("credits.grant.voided"),
    "a refund is told": silent_about("credits.grant.refunded"),
    "a grant rolls over so often": altered(
        lifecycle._roll_over, "terms.times >= rollover.max_times", "False"
    ),
    "what rolls over lives for its own time": altered(
        lifecycle._rolled_end, "rollover.expiry is None", "True"
    ),
    "a recurring grant ends with its period": altered(
        new.of_rule,
        "next_start(start, rule.cadence, rule.anchor or terms.anchor, zone)",
        "None",
    ),
    "a recurring grant is by seats": altered(new.of_rule, "(seats if rule.per_seat else 1)", "1"),
    "a rule ends with its contract": altered(periodic._runs_at, "end is None or at < end", "True"),
    "no period has two of a rule": altered(
        periodic.start_cursors, "last is not None and start <= last", "False"
    ),
    "a contract is depleted": altered(
        measures.evaluate,
        "counted.above_zero and available == 0",
        "counted.above_zero and available == 0 and scope == ACCOUNT",
    ),
    "a contract's rules are of its own grants": altered(
        measures.measured, "within(row, scope)", "row.grants"
    ),
    "what rolled is as old as its root": altered(
        burn.spendable, "time < terms.root_effective_at", "time < terms.effective_at"
    ),
    "what waits for funding does not pay": altered(
        burn.spendable, '("active", "scheduled")', '("active", "scheduled", "pending")'
    ),
    "a grant ends with its contract": altered(
        lifecycle.issue,
        "_earlier(new.expires_at, _contract_end(row, new.contract, now))",
        "new.expires_at",
    ),
    "what rolls into the account leaves its contract": altered(
        lifecycle._roll_over, 'None if rollover.into == "account" else', ""
    ),
    "a contract's rest becomes the account's": altered(
        endings._to_account, "grant.terms.contract = None", "pass"
    ),
    "it ends at its own time again": altered(
        endings._to_account, "grant.terms.expires_at = grant.terms.own_expires_at", "pass"
    ),
}
