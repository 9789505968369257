"""The product, spoilt in memory: each entry takes out one clause, and some seed must find it.

A simulation that finds nothing proves nothing. What is taken out of the protocol loses or doubles
something after a crash. What is taken out of the domain is wrong each time that it is folded, so
that a replay agrees with it: only the auditor can tell.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FunctionType
from typing import Any, Final, cast

import polars as pl

from processors.admission import merge
from processors.admission.owned import Owned
from processors.rating import stage as rating
from processors.rating.columnar import rate
from projections import rows
from projections.balances import (
    authorise,
    burn,
    drawing,
    due,
    endings,
    holds,
    lifecycle,
    limits,
    measures,
    new,
    overage,
    periodic,
    reference,
    top_up,
)
from projections.balances import stage as balances
from projections.balances.columnar import fold
from projections.fold import outbox, position, stage
from schemas.frames import CREDITS
from tests.protocol.mutation import replaced
from tests.protocol.test_position import JOURNAL_GAP, JOURNAL_UNSEEN, OUTPUT_UNSEEN
from tests.simulation.run import Change
from tests.simulation.world import World


def without(clause: str) -> Change:
    """A Redis whose scripts lack a clause."""

    @contextmanager
    def change(world: World) -> Iterator[None]:
        world.state.without = frozenset({clause})
        yield

    return change


def altered(function: Callable[..., Any], line: str, by: str) -> Change:
    """A function in which `line` reads `by`, for all who have imported it."""
    changed = cast("FunctionType", function)
    source = replaced(textwrap.dedent(inspect.getsource(changed)), line, by)
    made: dict[str, Any] = {}
    exec(source, changed.__globals__, made)
    code = made[changed.__name__].__code__

    @contextmanager
    def change(_world: World) -> Iterator[None]:
        kept, changed.__code__ = changed.__code__, code
        try:
            yield
        finally:
            changed.__code__ = kept

    return change


def replacing(module: Any, name: str, by: Any) -> Change:
    """Another thing by that name in a module."""

    @contextmanager
    def change(_world: World) -> Iterator[None]:
        kept = getattr(module, name)
        setattr(module, name, by)
        try:
            yield
        finally:
            setattr(module, name, kept)

    return change


PROTOCOL: Final[dict[str, Change]] = {
    "a claim names its owner": without("claims name owners"),
    "claims stand with their offset": without("claims through"),
    "what is acknowledged was claimed": without("acknowledged through"),
    "the older generation counts": without("older generation"),
    "reads are checked": without("checked reads"),
    "commits are checked": without("checked commits"),
    "outputs before the commit": altered(
        stage.StagePartition.settle,
        "if not self._outbox.delivered(oldest.deliveries, wait=must_wait):",
        "if False:",
    ),
    "a lost send ends a stage": altered(
        outbox.Outbox.delivered, "if failed is not None:", "if False:"
    ),
    "repeats are skipped in the journal": altered(
        position.JournalReader.feed, JOURNAL_UNSEEN, "pass"
    ),
    "repeats are skipped in rated": altered(position.OutputReader.feed, OUTPUT_UNSEEN, "pass"),
    "gaps are not read over": altered(position.JournalReader.feed, JOURNAL_GAP, "if False:"),
    "only the acknowledged prefix": altered(
        Owned.landed,
        "self.flights[0].waiting == 0",
        "any(flight.waiting == 0 for flight in self.flights)",
    ),
    "what was asked before": altered(
        merge.writable, "bisect_right(source.times, asked)", "len(source.times)"
    ),
    "pending rows stay cached": altered(
        rows.Rows.evict, "key not in pending and key not in self._changed", "True"
    ),
}


def dearer(batch: Any, *arguments: Any) -> Any:
    """Rating whose lines cost one unit more."""
    rated, clock = rate(batch, *arguments)
    unit = pl.lit("0.000000001").cast(CREDITS)
    return rated.with_columns((pl.col("cost") + unit).cast(CREDITS)), clock


def forgetful(batch: Any, books: Any) -> Any:
    """Balances whose ledger lacks the last posting of a batch."""
    folded = fold(batch, books)
    return replace(folded, ledger=folded.ledger.head(max(0, folded.ledger.height - 1)))


def silent_about(kind: str) -> Change:
    """Balances that do not tell of something."""

    def silent(batch: Any, books: Any) -> Any:
        folded = fold(batch, books)
        told = [alert for alert in folded.alerts if not alert.type.startswith(kind)]
        return replace(folded, alerts=told)

    return replacing(balances, "fold", silent)


DOMAIN: Final[dict[str, Change]] = {
    "lines cost what they cost": replacing(rating, "rate", dearer),
    "each posting is in the ledger": replacing(balances, "fold", forgetful),
    "overage is told": silent_about("credits.overage.started"),
    "depletion is told": silent_about("credits.balance.depleted"),
    "what is low is told": silent_about("credits.balance.low"),
    "what recovers is told": silent_about("credits.balance.recovered"),
    "depletion is told once": altered(
        measures.evaluate, "counted.above_zero and available == 0", "available == 0"
    ),
    "what is low is told once": altered(
        measures._by_rule,
        "beyond == (key in row.fired)",
        "not (beyond or key in row.fired)",
    ),
    "a threshold fires at it": altered(
        measures.Measured.reached, "self.available <= threshold", "self.available < threshold"
    ),
    "the burn order": altered(
        burn.candidates,
        "able.sort(key=order_for(row, ask.scope, ask.time))",
        "able.sort(key=order_for(row, ask.scope, ask.time), reverse=True)",
    ),
    "a contract's own burn policy": altered(
        burn.order_for, "policy = terms_at(row, scope, time).burn_policy", "policy = None"
    ),
    "a contract's credits stay with it": altered(
        burn.belongs, "grant.terms.contract is None or grant.terms.contract == scope", "True"
    ),
    "products and tags limit a grant": altered(
        burn.admits,
        "terms.tags is not None and any(tag in terms.tags for tag in tags)",
        "True",
    ),
    "late usage reopens": altered(
        burn.spendable,
        "time < terms.expires_at and clock < terms.expires_at + late_grace",
        "False",
    ),
    "a grant is kept for its grace": altered(
        due._of_grant, "grant.ended_at + grace", "grant.ended_at"
    ),
    "what is due happens first": altered(
        reference.fold_row, "do_what_is_due(row, clock, step)\n        row.clock", "row.clock"
    ),
    "what is denied is said": altered(authorise._denial, 'terms.mode == "block"', "False"),
    "the cap of what rolls over": altered(
        lifecycle.rolling_amount, "amount = min(amount, rollover.cap.units)", "pass"
    ),
    "what is owed is multiplied": altered(
        authorise.authorise, "round_half_even(short * terms.multiplier, _ONE)", "short"
    ),
    "what a key drained comes back": altered(
        drawing._pay, "tally.drawn.pop(part.grant.id, 0) + part.amount", "0"
    ),
    "what is held is not spent": altered(
        burn.spendable, "return grant.free if", "return grant.remaining if"
    ),
    "a hold ends with its time": altered(due.items, "if row.holds_until is not None:", "if False:"),
    "a hold holds all or nothing": altered(holds.place, "if short:", "if False:"),
    "what a hold frees follows its grant": altered(
        holds._end, "follow(row, grant, amount - taken, step)", "pass"
    ),
    "a limit denies": altered(
        limits.Use.passed_by, "self.used + cost > self.limit.amount.units", "False"
    ),
    "a limit lets its last credit through": altered(
        limits.Use.passed_by, "self.used + cost >", "self.used + cost >="
    ),
    "a limit is by its period": altered(
        limits.limits_of, "period_at(time, limit.period, None, zone)", "(0, 0)"
    ),
    "a limit is of its products": altered(limits.limits_of, "limit.products is not None", "False"),
    "what returns leaves its limit": altered(
        limits.count, "limit_row.used += cost", "limit_row.used += max(cost, 0)"
    ),
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
    "what a period added is net": altered(
        overage.move, "counted.added += amount", "counted.added += max(amount, 0)"
    ),
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
    "a rule has its own anchor": altered(periodic._anchor, "rule.anchor or", ""),
    "a rule ends with its contract": altered(periodic._runs_at, "end is None or at < end", "True"),
    "no period has two of a rule": altered(
        periodic.start_cursors, "last is not None and start <= last", "False"
    ),
    "a fee is by seats": altered(periodic.draw_fee, "seats if fee.per_seat else 1", "1"),
    "a contract is depleted": altered(
        measures.evaluate,
        "counted.above_zero and available == 0",
        "counted.above_zero and available == 0 and scope == ACCOUNT",
    ),
    "a contract's rules are of its own grants": altered(
        measures.measured, "within(row, scope)", "row.grants"
    ),
    "a rule is of its products": altered(measures.concerns, "rule.products is None", "True"),
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

FOUND_AT: Final[dict[str, int]] = {
    "a claim names its owner": 3,
    "claims stand with their offset": 3,
    "what is acknowledged was claimed": 12,
    "the older generation counts": 3,
    "reads are checked": 121,
    "commits are checked": 18,
    "outputs before the commit": 0,
    "a lost send ends a stage": 38,
    "repeats are skipped in the journal": 0,
    "repeats are skipped in rated": 0,
    "gaps are not read over": 18,
    "only the acknowledged prefix": 56,
    "what was asked before": 70,
    "pending rows stay cached": 135,
    "lines cost what they cost": 1,
    "each posting is in the ledger": 0,
    "overage is told": 1,
    "depletion is told": 3,
    "what is low is told": 1,
    "what recovers is told": 3,
    "depletion is told once": 0,
    "what is low is told once": 1,
    "a threshold fires at it": 72,
    "the burn order": 1,
    "a contract's own burn policy": 1,
    "a contract's credits stay with it": 6,
    "products and tags limit a grant": 12,
    "late usage reopens": 14,
    "a grant is kept for its grace": 14,
    "what is due happens first": 1,
    "what is denied is said": 9,
    "the cap of what rolls over": 18,
    "what is owed is multiplied": 11,
    "what a key drained comes back": 21,
    "what is held is not spent": 6,
    "a hold ends with its time": 1,
    "a hold holds all or nothing": 7,
    "what a hold frees follows its grant": 125,
}
"""A seed that told of each when it was last searched for, which is tried first."""
