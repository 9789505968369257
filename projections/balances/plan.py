"""What a balance row can take without crossing a boundary: when the quick path holds. Pure.

A plan is derived from a row, lives in memory only and is thrown away whenever the row takes the
slow path. As long as a batch of an account's lines fits it, all of them draw from the same grant
(or are all overage), no alert fires and nothing is due in between, so the lines of a product are
one subtraction.
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
    """Journal times below `until`, event times in [`start`, `end`), `room` units to consume.

    `first` is the grant that pays for a product, None for overage; filled as products are asked
    for.
    """

    until: int
    start: int
    end: int
    room: int
    payers: list[GrantRow]
    first: dict[str, GrantRow | None] = field(default_factory=dict)

    def payer(self, product: str) -> GrantRow | None:
        """The first grant in burn order that pays for `product`."""
        try:
            return self.first[product]
        except KeyError:
            able = (grant for grant in self.payers if admits(grant, product))
            self.first[product] = found = next(able, None)
            return found


def plan_of(row: BalanceRow, time: int) -> Plan:
    """The plan around event time `time`; kept on the row while it holds.

    Between two neighbouring effective or expiry times of any grant, the same grants can pay. Where
    an expired grant could be reopened, or one that is not effective yet could pay early, nothing is
    planned (`room` is -1): those lines go the slow way.
    """
    plan: Plan | None = row.plan
    if plan is not None and plan.start <= time < plan.end:
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
    due = next_due(row)
    made = Plan(_NEVER if due is None else due, start, end, room, payers)
    row.plan = made
    return made


def _drained(grant: GrantRow) -> bool:
    return grant.remaining == 0 and grant.expired == 0


def _dry(row: BalanceRow) -> bool:
    """Nothing is available and depletion was told: overage alone can go on."""
    return not row.above_zero and row.available == 0


def take(
    row: BalanceRow, plan: Plan, costs: list[tuple[str, int]], last: int, clock: int
) -> list[GrantRow | None] | None:
    """Draw the `costs` of products from their payers, all of them or nothing.

    `last` is the latest event time, `clock` the latest journal time. Gives the payer of each (None
    is overage), or None where they cross a boundary and nothing was done. A grant may be emptied
    exactly; overage must have started before.
    """
    if clock >= plan.until or last >= plan.end or plan.room < 0:
        return None
    payers = [plan.payer(product) for product, _ in costs]
    drawn: dict[str, int] = {}
    total = owed = 0
    for payer, (_, cost) in zip(payers, costs, strict=True):
        if payer is None:
            owed += cost
            continue
        total += cost
        drawn[payer.id] = of_grant = drawn.get(payer.id, 0) + cost
        if of_grant > payer.remaining:
            return None
    if total > plan.room or (owed and not row.overage):
        return None
    for payer, (_, cost) in zip(payers, costs, strict=True):
        if payer is not None:
            payer.remaining -= cost
            payer.consumed += cost
            if not payer.remaining:
                row.plan = None
    plan.room -= total
    row.overage += owed
    row.clock = clock
    return payers
