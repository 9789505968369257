"""Credits that come back: lines of negative cost, voids and crossings of a volume (section 4).

A void first mirrors how its recorded line was paid. Then a line reduces its key's overage, then
returns to the grants that the key drained, the latest first; what the tally does not hold stands
as negative overage, a credit for the key's next overage.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from projections.balances import overage
from projections.balances.books import line_key
from projections.balances.postings import CONSUMED, OVERAGE, REFUNDED, REOPENED, VOIDED
from projections.balances.row import BalanceRow, GrantRow
from projections.balances.step import Step
from projections.balances.wire import TallyRow
from schemas.numbers import round_half_even


@dataclass(slots=True)
class _Return:
    """`left` units of cost to come back; `owed` overage goes, `grants` get theirs."""

    tally: TallyRow
    left: int
    owed: int = 0
    grants: dict[str, int] = field(default_factory=dict)

    def mirror(self, recorded: Mapping[str, Any], consumed: Mapping[str, int] | None) -> None:
        """The recorded overage and slices, within the tally where the line's price has one.

        Else within what was `consumed`: whoever wrote the command may have made its slices up.
        """
        short = min(self.left, max(recorded["short"], 0), max(self.tally.short, 0))
        if short and short == recorded["short"] and recorded["overage"] <= self.tally.overage:
            self._reduce(short, recorded["overage"])
        else:
            self.from_overage(short)
        for name, amount in reversed(recorded["slices"]):
            if consumed is None:
                self._from_grant(name, amount)
            else:
                room = consumed[name] - self.grants.get(name, 0)
                self._give(name, min(self.left, amount, room))

    def from_overage(self, most: int) -> None:
        """Up to `most` of cost out of the key's shortfall, with the overage that goes with it."""
        short = min(self.left, most, max(self.tally.short, 0))
        if short:
            self._reduce(short, round_half_even(self.tally.overage * short, self.tally.short))

    def from_grants(self) -> None:
        """To the grants that the tally holds, the latest drained first."""
        for name in reversed(list(self.tally.drawn)):
            self._from_grant(name, self.left)

    def rest(self) -> None:
        """What is left stands as negative overage."""
        if self.left:
            self._reduce(self.left, self.left)

    def _reduce(self, short: int, owed: int) -> None:
        self.tally.short -= short
        self.tally.overage -= owed
        self.owed += owed
        self.left -= short

    def _from_grant(self, name: str, most: int) -> None:
        amount = min(self.left, most, self.tally.drawn.get(name, 0))
        if amount <= 0:
            return
        self.tally.drawn[name] -= amount
        if not self.tally.drawn[name]:
            del self.tally.drawn[name]
        self._give(name, amount)

    def _give(self, name: str, amount: int) -> None:
        if amount <= 0:
            return
        self.grants[name] = self.grants.get(name, 0) + amount
        self.left -= amount


def give_back(row: BalanceRow, scope: str, line: Mapping[str, Any], step: Step) -> None:
    """Fold a line of negative cost."""
    key = line_key(line)
    tally = step.books.tally(row.account, key)
    back = _Return(tally, -line["cost"])
    if line["mirror"] is not None:
        recorded = json.loads(line["mirror"])
        tallied = line["before"] is not None
        back.mirror(recorded, None if tallied else _consumed(row, recorded, step))
    back.from_overage(back.left)
    back.from_grants()
    back.rest()
    for name, amount in back.grants.items():
        _return_to(row, name, amount, line, step)
    if back.owed or not back.grants:
        step.post(row.account, OVERAGE, None, -back.owed, line)
        debtor = overage.Debtor(scope, key, line["product"], line["time"])
        overage.move(row, debtor, -back.owed, step)
    step.books.put_tally(row.account, key, tally)


def _consumed(row: BalanceRow, recorded: Mapping[str, Any], step: Step) -> dict[str, int]:
    """What each grant of the recorded slices paid, over all lines; 0 where there is none such."""
    found = {}
    for name, _ in recorded["slices"]:
        grant = row.grant(name)
        if grant is None:
            retired = step.books.retired(row.account, name)
            found[name] = 0 if retired is None else retired.grant.consumed
        else:
            found[name] = grant.consumed
    return found


def _return_to(
    row: BalanceRow, name: str, amount: int, line: Mapping[str, Any], step: Step
) -> None:
    """Credits come back to a grant, retired or not."""
    grant = row.grant(name)
    if grant is not None:
        _move_back(row, grant, amount, line, step)
        return
    retired = step.books.retired(row.account, name)
    assert retired is not None, (row.account, name)
    row.retired_consumed -= amount
    _move_back(row, retired.grant, amount, line, step)
    step.books.put_retired(row.account, retired)


def _move_back(
    row: BalanceRow, grant: GrantRow, amount: int, line: Mapping[str, Any], step: Step
) -> None:
    """To what remains, or to the part that the grant ended in."""
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
