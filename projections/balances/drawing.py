"""A line on its way through an account: what pays for it, what it returns (section 4)."""

import json
from collections.abc import Mapping
from typing import Any

from projections.balances import limits, overage
from projections.balances.authorise import authorise
from projections.balances.books import line_key
from projections.balances.burn import Draw
from projections.balances.days import spend
from projections.balances.postings import CONSUMED, OVERAGE, REFUNDED, REOPENED, VOIDED
from projections.balances.row import WALLET, BalanceRow, GrantRow
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
        _give_back(row, scope, line, step)
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
    tallied = line["before"] is not None
    tally = step.books.tally(row.account, key)
    for part in verdict.slices:
        if part.reopened:
            part.grant.expired -= part.amount
        else:
            part.grant.remaining -= part.amount
        part.grant.consumed += part.amount
        if tallied:
            tally.drawn[part.grant.id] = tally.drawn.pop(part.grant.id, 0) + part.amount
        kind = REOPENED if part.reopened else CONSUMED
        step.post(row.account, kind, part.grant.id, part.amount, line, unauthorised=denied)
    if verdict.short:
        tally.short += verdict.short
        tally.overage += verdict.overage
        step.post(row.account, OVERAGE, None, verdict.overage, line, unauthorised=denied)
        overage.move(row, scope, key, product, verdict.overage, step)
    if tallied or verdict.short:
        step.books.put_tally(row.account, key, tally)


def _give_back(row: BalanceRow, scope: str, line: Mapping[str, Any], step: Step) -> None:
    """A line of negative cost.

    First as a void's recorded line was paid, then the key's overage, then its grants, the latest
    drained first; what the tally does not hold is negative overage.
    """
    key = line_key(line)
    tally = step.books.tally(row.account, key)
    left = -line["cost"]
    returned: dict[str, int] = {}
    owed = 0
    mirror = {} if line["mirror"] is None else json.loads(line["mirror"])
    if mirror:
        short = min(left, mirror["short"], max(tally.short, 0))
        if short == mirror["short"] and short and mirror["overage"] <= tally.overage:
            tally.short -= short
            tally.overage -= mirror["overage"]
            owed += mirror["overage"]
            left -= short
        elif short:
            owed += overage.reduce_tally(tally, short)
            left -= short
        for name, amount in reversed(mirror["slices"]):
            if line["before"] is None:  # the recorded slices are this line's own
                returned[name] = amount
                left -= amount
            else:
                left -= _take_back(tally, name, min(left, amount), returned)
    if left and tally.short > 0:
        short = min(left, tally.short)
        owed += overage.reduce_tally(tally, short)
        left -= short
    for name in reversed(list(tally.drawn)):
        left -= _take_back(tally, name, left, returned)
    for name, amount in returned.items():
        _return_to(row, name, amount, line, step)
    if left:
        tally.short -= left
        tally.overage -= left
        owed += left
    if owed:
        step.post(row.account, OVERAGE, None, -owed, line)
        overage.move(row, scope, key, line["product"], -owed, step)
    step.books.put_tally(row.account, key, tally)


def _take_back(tally: TallyRow, name: str, amount: int, returned: dict[str, int]) -> int:
    """Take up to `amount` of a grant out of the tally; gives how much that is."""
    amount = min(amount, tally.drawn.get(name, 0))
    if amount > 0:
        returned[name] = returned.get(name, 0) + amount
        tally.drawn[name] -= amount
        if not tally.drawn[name]:
            del tally.drawn[name]
    return amount


def _return_to(
    row: BalanceRow, name: str, amount: int, line: Mapping[str, Any], step: Step
) -> None:
    """Credits come back to a grant: to what remains, or to the part that it ended in."""
    grant = row.grant(name)
    if grant is None:
        retired = step.books.retired(row.account, name)
        assert retired is not None, (row.account, name)
        row.retired_consumed -= amount
        _move_back(row, retired.grant, amount, line, step)
        step.books.put_retired(row.account, retired)
        return
    _move_back(row, grant, amount, line, step)


def _move_back(
    row: BalanceRow, grant: GrantRow, amount: int, line: Mapping[str, Any], step: Step
) -> None:
    grant.consumed -= amount
    if grant.state in ("expired", "closed"):
        grant.expired += amount
        step.post(row.account, REOPENED, grant.id, -amount, line)
        return
    step.post(row.account, CONSUMED, grant.id, -amount, line)
    if grant.state == "voided":
        grant.voided += amount
        step.post(row.account, VOIDED, grant.id, amount)
    elif grant.state == "refunded":
        grant.refunded += amount
        step.post(row.account, REFUNDED, grant.id, amount)
    else:
        grant.remaining += amount
