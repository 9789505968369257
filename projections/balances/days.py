"""What an account spends a day, for `days_left` (section 7): local days of journal time."""

from typing import Final

from projections.balances.row import ACCOUNT, WALLET, BalanceRow, Scope
from projections.balances.terms import account_terms
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


def _turn_to(counted: Scope, clock: int, zone: str) -> None:
    """Make the day of `clock` today; journal time never goes back."""
    start, _ = local_day(clock, zone)
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
    start, _ = local_day(clock, zone)
    first = max(counted.first_day, subtract_days(start, WINDOW_DAYS, zone))
    days = (start - first + DAY // 2) // DAY  # a day with a change of clocks is one day too
    total = sum(cost for day, cost in counted.days if day >= first)
    if first <= counted.today < start:
        total += counted.spent
    return (total, days) if days and total > 0 else None
