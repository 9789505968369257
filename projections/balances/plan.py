"""What a balance row can take without crossing a boundary: when the quick path holds. Pure.

A plan is derived from a row, lives in memory only and is thrown away whenever the row takes the
slow path. As long as a batch of an account's lines fits it, all lines of a key draw from one grant
(or are all overage), no alert fires and nothing is due in between, so they are one subtraction.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from projections.balances.books import Books, key_of
from projections.balances.burn import admits, belongs, order_for
from projections.balances.days import today_in, turn_quietly
from projections.balances.measures import EXPIRING, alert_scopes, measured
from projections.balances.overage import owed_place
from projections.balances.row import ACCOUNT, WALLET, BalanceRow, GrantRow, available_in
from projections.balances.terms import Rule, account_terms, terms_at, terms_now
from projections.balances.top_up import scopes_with_rule

_NEVER: Final = 1 << 62
_EVER: Final = -1
_ENDLESS: Final = 10**38


class Way(NamedTuple):
    """Which grant pays for a scope's product; None: overage, which `plain` lines add to freely.

    `limited`: lines have to be looked at one by one.
    """

    payer: GrantRow | None
    plain: bool
    limited: bool


@dataclass(slots=True)
class Plan:
    """Journal times in [`since`, `until`), event times in [`start`, `end`), `room` to consume.

    `contracts` are those (None: the wallet) whose day is open; `ways` by contract and product are
    filled as they are asked for.
    """

    since: int
    until: int
    start: int
    end: int
    room: int
    payers: list[GrantRow]
    contracts: set[str | None] = field(default_factory=set)
    ways: dict[tuple[str | None, str], Way] = field(default_factory=dict)

    def holds(self, groups: list["Group"]) -> bool:
        """Whether all of `groups` lie within the plan."""
        for group in groups:
            if not (
                self.since <= group.begun
                and group.clock < self.until
                and self.start <= group.first
                and group.last < self.end
                and group.contract in self.contracts
            ):
                return False
        return True


class Group(msgspec.Struct, gc=False):
    """Lines of one account that one grant pays, or none: spans of times, sum of costs.

    `first` and `last` are event times, `begun` and `clock` journal times.

    `place` numbers the batch's groups, `least` is the lowest cost. `match` and `period` are given
    where the account owes by key, None for lines of several keys.
    """

    place: int
    contract: str | None
    product: str
    first: int
    last: int
    begun: int
    clock: int
    cost: int
    least: int
    match: str | None = None
    period: int | None = None

    @property
    def scope(self) -> str:
        """The contract that covers the lines, or WALLET."""
        return self.contract or WALLET

    @property
    def key(self) -> str:
        """The key of the lines within their account; empty where they are of several."""
        if self.match is None or self.period is None:
            return ""
        return key_of(self.contract, self.product, self.match, self.period)


def plan_of(row: BalanceRow, time: int, books: Books) -> Plan:
    """The plan around event time `time`; kept on the row while it holds.

    Between two neighbouring effective or expiry times of any grant, and revisions of any contract,
    the same grants can pay in the same order. Where an expired grant could be reopened, or one that
    is not effective yet could pay early, nothing is planned (`room` is -1): those go the slow way.
    """
    plan: Plan | None = row.plan
    if plan is not None and plan.start <= time < plan.end:
        return plan
    start, end = _EVER, _NEVER
    for edge in _edges(row):
        if edge <= time:
            start = max(start, edge)
        else:
            end = min(end, edge)
    able = [grant for grant in row.grants if _could_pay(grant, time)]
    planned = all(grant.state == "active" for grant in able)
    zone = account_terms(row.terms.document).time_zone
    day_start, day_end = today_in(zone, row.scopes[ACCOUNT].today)
    made = Plan(
        day_start,
        min(_NEVER if row.due is None else row.due, day_end),
        start,
        end,
        _headroom(row, books) if planned else -1,
        [grant for grant in able if grant.free > 0],
    )
    row.plan = made
    return made


def _edges(row: BalanceRow) -> list[int]:
    edges = [grant.terms.root_effective_at for grant in row.grants]
    edges.extend(
        grant.terms.expires_at for grant in row.grants if grant.terms.expires_at is not None
    )
    for lineage in row.terms.contracts.values():
        edges.extend(revision.effective_at for revision in lineage.revisions)
    return edges


def _could_pay(grant: GrantRow, time: int) -> bool:
    """Whether a line of event time `time` could draw from the grant, now or after a return."""
    terms = grant.terms
    if time < terms.root_effective_at or grant.state not in ("scheduled", "active", "expired"):
        return False
    if terms.expires_at is not None and time >= terms.expires_at:
        return False
    return grant.state != "expired" or grant.expired > 0


def _headroom(row: BalanceRow, books: Books) -> int:
    """The most that active grants can lose with no alert: no armed threshold reached, not depleted.

    Negative where even nothing more may be assumed: something is to be evaluated first.
    """
    room = _ENDLESS
    for scope, rules in alert_scopes(row):
        available = available_in(row, scope)
        if (available > 0) != row.scopes[scope].above_zero:
            return -1
        if available:
            room = min(room, available - 1)
        for rule in rules:
            room = min(room, _room_of(row, scope, rule, books))
    for scope, top_up in scopes_with_rule(row):
        left = available_in(row, scope) - top_up.threshold
        if left >= 0:
            room = min(room, left)
    return room


def _room_of(row: BalanceRow, scope: str, rule: Rule, books: Books) -> int:
    """The most that can be consumed before an armed threshold of the rule is reached."""
    found = None
    if rule.measure != EXPIRING:
        found = measured(row, scope, rule, row.clock, books)
    if found is None:
        return _ENDLESS
    rooms = (
        found.room(rule.measure, threshold)
        for text, threshold in rule.thresholds
        if (scope, rule.id, text, "") not in row.fired
    )
    return min((room for room in rooms if room is not None), default=_ENDLESS)


def take(row: BalanceRow, groups: list[Group], books: Books) -> list[GrantRow | None] | None:
    """Draw the `groups` from their payers, all of them or nothing.

    Gives the payer of each (None is overage), or None where they cross a boundary and nothing was
    done. A grant may be emptied exactly; overage must have started before.
    """
    plan: Plan | None = row.plan
    if plan is None or not plan.holds(groups):
        plan = _planned(row, groups, books)
    if plan is None or plan.room < 0:
        return None
    payers: list[GrantRow | None] = []
    drawn: dict[str, int] = {}
    total = 0
    for group in groups:
        way = plan.ways.get((group.contract, group.product)) or _way(row, plan, group, books)
        payer, plain, limited = way
        if limited or group.least < 0:
            return None
        payers.append(payer)
        if payer is None:
            if group.cost and not (plain and _owes_already(row, group)):
                return None
            continue
        total += group.cost
        drawn[payer.id] = of_grant = drawn.get(payer.id, 0) + group.cost
        if of_grant > payer.free:
            return None
    if total > plan.room:
        return None
    for payer, group in zip(payers, groups, strict=True):
        _move(row, payer, group)
    _spend(row, groups)
    plan.room -= total
    return payers


def _planned(row: BalanceRow, groups: list[Group], books: Books) -> Plan | None:
    """The plan that all of `groups` lie within, None where there is none."""
    first, last = min(group.begun for group in groups), max(group.clock for group in groups)
    if not turn_quietly(row, {group.scope for group in groups}, first, last):
        return None
    plan = plan_of(row, groups[0].first, books)
    plan.contracts.update(group.contract for group in groups)
    return plan if plan.holds(groups) else None


def _way(row: BalanceRow, plan: Plan, group: Group, books: Books) -> Way:
    """The first grant in burn order pays for the group."""
    scope, time = group.scope, group.first
    terms = terms_at(row, scope, time)
    tags = books.tags(group.product)
    able = [g for g in plan.payers if belongs(g, scope) and admits(g, group.product, tags)]
    payer = min(able, key=order_for(row, scope, time)) if able else None
    # What a line owes is a matter of event time, the cap that is told of one of journal time.
    plain = terms.overage.plain and terms_now(row, scope).overage.mode != "cap"
    way = plan.ways[group.contract, group.product] = Way(payer, plain, bool(terms.limits))
    return way


def _owes_already(row: BalanceRow, group: Group) -> bool:
    """Whether the group's overage goes on where some stands."""
    scope = group.scope
    counted = row.scopes[scope]
    if counted.overage <= 0 or counted.period_end is None:
        return False
    owed = row.owed.get(owed_place(row, scope, group.key, group.first, group.clock))
    return owed is not None and owed.amount > 0


def _move(row: BalanceRow, payer: GrantRow | None, group: Group) -> None:
    if payer is not None:
        payer.remaining -= group.cost
        payer.consumed += group.cost
        if not payer.free:
            row.plan = None
    elif group.cost:
        counted = row.scopes[group.scope]
        counted.overage += group.cost
        counted.added += group.cost
        place = owed_place(row, group.scope, group.key, group.first, group.clock)
        row.owed[place].amount += group.cost


def _spend(row: BalanceRow, groups: list[Group]) -> None:
    spent = 0
    for group in groups:
        spent += group.cost
        row.clock = max(row.clock, group.clock)
        if group.contract is not None:
            row.scopes[group.contract].spent += group.cost
    row.scopes[ACCOUNT].spent += spent
