"""What an account spends a day, for `days_left` (section 7): local days of journal time."""

from collections.abc import Iterable
from typing import Final

from projections.balances.row import ACCOUNT, WALLET, BalanceRow, Scope
from projections.balances.terms import account_terms, terms_now
from schemas.periods import local_day, subtract_days
from schemas.times import DAY

WINDOW_DAYS: Final = 7


def spend(row: BalanceRow, scope: str, cost: int, clock: int) -> None:
    """Count a line's net cost on its day, for the account and for the contract that covers it."""
    zone = account_terms(row.terms.document).time_zone
    for name in (ACCOUNT,) if scope == WALLET else (ACCOUNT, scope):
        counted = row.scopes[name]
        _turn_to(counted, clock, zone)
        counted.spent += cost


def turn_quietly(row: BalanceRow, scopes: Iterable[str], first: int, last: int) -> bool:
    """Make today the day of lines between journal times `first` and `last`, for their `scopes`.

    False, and nothing done, where that is more than the turn of a page: the lines are of two days,
    or something is due before the last of them, or a rule measures days.
    """
    start, end = today_in(account_terms(row.terms.document).time_zone, first)
    turned = [
        counted
        for counted in (row.scopes[name] for name in (ACCOUNT, *scopes) if name != WALLET)
        if counted.first_day is None or counted.today != start
    ]
    if not turned:
        return last < end
    if last >= end or (row.due is not None and row.due <= last) or _measures_days(row):
        return False
    for counted in turned:
        _turn_to(counted, first, account_terms(row.terms.document).time_zone)
    row.plan = row.settled = None
    return True


def _measures_days(row: BalanceRow) -> bool:
    return any(
        rule.measure == "days_left" for scope in row.scopes for rule in terms_now(row, scope).rules
    )


def today_in(zone: str, clock: int) -> tuple[int, int]:
    """The local day [start, end) of `clock`; journal time mostly stays in one."""
    known = _days.get(zone)
    if known is None or not known[0] <= clock < known[1]:
        known = _days[zone] = local_day(clock, zone)
    return known


_days: Final[dict[str, tuple[int, int]]] = {}


def _turn_to(counted: Scope, clock: int, zone: str) -> None:
    """Make the day of `clock` today; journal time never goes back."""
    start, _ = today_in(zone, clock)
    if counted.first_day is None:
        counted.first_day = counted.today = start
    if counted.today == start:
        return
    first = subtract_days(start, WINDOW_DAYS, zone)
    counted.days.append((counted.today, counted.spent))
    counted.days = [(day, cost) for day, cost in counted.days if day >= first]
    counted.today, counted.spent = start, 0


def mean_spent(counted: Scope, clock: int, zone: str) -> tuple[int, int] | None:
    """Net cost over the completed local days of the window, and how many days these are.

    None where no day is completed since the first line, or nothing was spent: no data.
    """
    if counted.first_day is None:
        return None
    start, _ = today_in(zone, clock)
    first = max(counted.first_day, subtract_days(start, WINDOW_DAYS, zone))
    days = (start - first + DAY // 2) // DAY  # a day with a change of clocks is one day too
    total = sum(cost for day, cost in counted.days if day >= first)
    if first <= counted.today < start:
        total += counted.spent
    return (total, days) if days and total > 0 else None
