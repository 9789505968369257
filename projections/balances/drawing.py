"""A line on its way through an account: what pays for it, and what it counts for (section 4)."""

from collections.abc import Mapping
from typing import Any

from projections.balances import limits, overage
from projections.balances.authorise import authorise
from projections.balances.books import line_key
from projections.balances.burn import Draw
from projections.balances.days import spend
from projections.balances.postings import CONSUMED, OVERAGE, REOPENED
from projections.balances.returns import give_back
from projections.balances.row import WALLET, BalanceRow
from projections.balances.step import Step
from projections.balances.wire import TallyRow


def draw_line(row: BalanceRow, line: Mapping[str, Any], step: Step) -> None:
    """Draw one line, a rated row or a fee: `cost` in units, below 0 where credits come back."""
    cost, scope = line["cost"], line["contract"] or WALLET
    found = limits.uses(
        step.books, row, scope, line["product"], line["time"], limits.entities_of(line)
    )
    spend(row, scope, cost, step.now.at)
    if cost > 0:
        _pay(row, scope, line, found, step)
    elif cost < 0:
        give_back(row, scope, line, step)
    else:
        step.post(row.account, CONSUMED, None, 0, line)
    limits.count(found, row, scope, cost, step)


def _pay(
    row: BalanceRow, scope: str, line: Mapping[str, Any], found: list[limits.Use], step: Step
) -> None:
    product = line["product"]
    ask = Draw(product, step.books.tags(product), scope, line["time"], step.now.at)
    verdict = authorise(row, ask, line["cost"], found)
    denied = verdict.why is not None
    key = line_key(line)
    cumulative = line["before"] is not None
    tallied = cumulative or verdict.short > 0
    tally = step.books.tally(row.account, key) if tallied else TallyRow()
    for part in verdict.slices:
        if part.reopened:
            part.grant.expired -= part.amount
        else:
            part.grant.remaining -= part.amount
        part.grant.consumed += part.amount
        if cumulative:
            tally.drawn[part.grant.id] = tally.drawn.pop(part.grant.id, 0) + part.amount
        kind = REOPENED if part.reopened else CONSUMED
        step.post(row.account, kind, part.grant.id, part.amount, line, unauthorised=denied)
    if verdict.short:
        tally.short += verdict.short
        tally.overage += verdict.overage
        step.post(row.account, OVERAGE, None, verdict.overage, line, unauthorised=denied)
        debtor = overage.Debtor(scope, key, product, line["time"])
        overage.move(row, debtor, verdict.overage, step)
    if tallied:
        step.books.put_tally(row.account, key, tally)
