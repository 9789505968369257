"""What a balance row can take without crossing a boundary: the precondition of the quick path. Pure.

A plan is derived from a row, lives in memory only and is thrown away whenever the row takes the slow path. As
long as a batch of an account's lines fits it, all of them draw from the same grant (or are all overage), no
alert fires and nothing is due in between, so the lines of a product are one subtraction.
"""

from dataclasses import dataclass, field
from typing import Final

from projections.balances.alerts import headroom
from projections.balances.burn import admits, burn_key
from projections.balances.row import BalanceRow, GrantRow, next_due

_NEVER: Final = 1 << 62
_EVER: Final = -1


@dataclass(slots=True)
class Plan:
    """Journal times below `until`, event times in [`start`, `end`), and `room` units of consumption.

    `first` is the grant that pays for a product, None for overage; filled as products are asked for.
    """

    until: int
    start: int
    end: int
    room: int
    payers: list[GrantRow]
    first: dict[str, GrantRow | None] = field(default_factory=dict)

    def payer(self, product: str) -> GrantRow | None:
        """The first grant in burn order that pays for `product`."""
        if product not in self.first:
            able = (grant for grant in self.payers if admits(grant, product))
            self.first[product] = next(able, None)
        return self.first[product]


def plan_of(row: BalanceRow, time: int) -> Plan:
    """The plan around event time `time`; kept on the row while it holds.

    Between two neighbouring effective or expiry times of any grant, the same grants can pay. Where an
    expired grant could be reopened, or one that is not effective yet could pay early, nothing is
    planned (`room` is -1): those lines go the slow way.
    """
    if row.plan is not None and row.plan.start <= time < row.plan.end:
        plan: Plan = row.plan
        return plan
    start, end = _EVER, _NEVER
    for grant in row.grants:
        for edge in (grant.effective_at, grant.expires_at):
            if edge is None:
                continue
            if edge <= time:
                start = max(start, edge)
            else:
                end = min(end, edge)
    within = [
        grant
        for grant in row.grants
        if grant.effective_at <= time and (grant.expires_at is None or time < grant.expires_at)
    ]
    planned = all(grant.state == "active" or _drained(grant) for grant in within)
    payers = sorted((grant for grant in within if grant.remaining > 0), key=burn_key)
    room = headroom(row) if planned else -1
    if room < 0 and planned and _dry(row):
        room = 0
    row.plan = Plan(next_due(row) or _NEVER, start, end, room, payers)
    return row.plan


def _drained(grant: GrantRow) -> bool:
    return grant.remaining == 0 and grant.expired == 0


def _dry(row: BalanceRow) -> bool:
    """Nothing is available and depletion was told: overage alone can go on."""
    return not row.above_zero and row.available == 0


def fits(row: BalanceRow, plan: Plan, costs: dict[str, int], last: int, clock: int) -> bool:
    """May the account take `costs` by product, with event times up to `last`, journal time `clock`?

    A grant may be emptied exactly; overage must have started before.
    """
    if clock >= plan.until or last >= plan.end or plan.room < 0:
        return False
    drawn: dict[int, int] = {}
    total = 0
    for product, cost in costs.items():
        payer = plan.payer(product)
        if payer is None:
            if cost and not row.overage:
                return False
            continue
        total += cost
        key = id(payer)
        drawn[key] = drawn.get(key, 0) + cost
        if drawn[key] > payer.remaining:
            return False
    return total <= plan.room


def apply(row: BalanceRow, plan: Plan, costs: dict[str, int], clock: int) -> None:
    """Take `costs`, which fit."""
    for product, cost in costs.items():
        payer = plan.payer(product)
        if payer is None:
            row.overage += cost
            continue
        payer.remaining -= cost
        payer.consumed += cost
        plan.room -= cost
        if payer.remaining == 0:
            row.plan = None
    row.clock = clock
