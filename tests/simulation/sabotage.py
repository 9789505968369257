"""The product, spoilt in memory: each entry takes out one clause, and some seed must find it.

A simulation that finds nothing proves nothing. What is taken out of the protocol loses or doubles
something after a crash. What is taken out of the domain is wrong each time that it is folded, so
that a replay agrees with it: only the auditor can tell.
"""

from dataclasses import replace
from typing import Any, Final

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
    holds,
    lifecycle,
    measures,
    reference,
)
from projections.balances import stage as balances
from projections.balances.columnar import fold
from projections.fold import outbox, position, stage
from schemas.frames import CREDITS
from tests.protocol.test_position import JOURNAL_GAP, JOURNAL_UNSEEN, OUTPUT_UNSEEN
from tests.simulation.run import Change
from tests.simulation.sabotage_terms import TERMS
from tests.simulation.spoiling import altered, replacing, silent_about, without

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
} | TERMS

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
    "a limit denies": 1,
    "a limit is by its period": 1,
    "a limit is of its products": 16,
    "a limit that is reached is told": 1,
    "a limit is reached once": 1,
    "a cap denies": 2,
    "a cap is of what was funded": 2,
    "a cap that is reached is told": 2,
    "a cap is reached once": 2,
    "grace ends": 3,
    "what a period added is told": 2,
    "a top-up is asked for": 3,
    "a top-up asks for what lacks": 5,
    "a top-up cools down": 143,
    "a top-up times out": 3,
    "a failure backs off": 3,
    "only so many failures": 3,
    "only so many requests a period": 10,
    "a grant answers its request": 143,
    "an expiry is told": 0,
    "what rolls over is told": 3,
    "a void is told": 5,
    "a refund is told": 0,
    "a grant rolls over so often": 8,
    "what rolls over lives for its own time": 18,
    "a recurring grant ends with its period": 10,
    "a recurring grant is by seats": 625,
    "a rule ends with its contract": 40,
    "no period has two of a rule": 127,
    "a contract is depleted": 3,
    "a contract's rules are of its own grants": 46,
    "what rolled is as old as its root": 10,
    "what waits for funding does not pay": 3,
    "a grant ends with its contract": 7,
    "what rolls into the account leaves its contract": 99,
    "a contract's rest becomes the account's": 92,
    "it ends at its own time again": 92,
}
"""A seed that told of each when it was last searched for, which is tried first."""
