"""Lines whose cost depends on what the billing period brought before: one at a time, in log order.

The cumulative quantity of a line's key (account, product, match of the rate, month in the account's
time zone) moves with every line that is priced; a line beyond the limits leaves it as it was.
"""

from collections.abc import Sequence

from processors.rating.lines import Lines
from processors.rating.rows import (
    AccountRow,
    CumulativeRow,
    RatingRow,
    account_key,
    cumulative_key,
)
from projections.pricing import line_cost
from projections.rows import Rows
from schemas.times import month_period


def price_packages(
    lines: Lines,
    at: Sequence[int],
    accounts: Sequence[str],
    times: Sequence[int],
    rows: Rows[RatingRow],
) -> tuple[dict[int, int | None], dict[int, int]]:
    """The cost of each row `at` (None beyond the limits) and the quantity before it, in units.

    `accounts` and `times` are the batch's; the cumulative rows move.
    """
    keys = _keys(lines, at, accounts, times, rows)
    rows.load(keys)
    totals = {key: _total(rows, key) for key in dict.fromkeys(keys)}
    costs: dict[int, int | None] = {}
    befores: dict[int, int] = {}
    moved: dict[str, None] = {}
    decisions, codes, units = lines.decisions, lines.codes, lines.units
    for line, key in zip(at, keys, strict=True):
        price, quantity = decisions[codes[line]].price, units[line]
        assert price is not None
        assert quantity is not None
        befores[line] = before = totals[key]
        costs[line] = cost = line_cost(price, quantity, before)
        if cost is not None:
            totals[key] = before + quantity
            moved[key] = None
    for key in moved:
        rows.put(key, CumulativeRow(str(totals[key])))
    return costs, befores


def _keys(
    lines: Lines,
    at: Sequence[int],
    accounts: Sequence[str],
    times: Sequence[int],
    rows: Rows[RatingRow],
) -> list[str]:
    """The cumulative key of each row `at`."""
    zones: dict[str, str] = {}
    months: dict[str, tuple[int, int]] = {}
    names: dict[tuple[str, int, int], str] = {}
    keys: list[str] = []
    events, codes = lines.events, lines.codes
    for line in at:
        event, code = events[line], codes[line]
        account, time = accounts[event], times[event]
        zone = zones.get(account)
        if zone is None:
            zone = zones[account] = _zone(rows, account)
        start, end = months.get(zone, (0, 0))
        if not start <= time < end:
            start, end = months[zone] = month_period(time, zone)
        name = names.get((account, code, start))
        if name is None:
            decision = lines.decisions[code]
            assert decision.product is not None
            assert decision.match is not None
            name = cumulative_key(account, decision.product, decision.match, start)
            names[account, code, start] = name
        keys.append(name)
    return keys


def _zone(rows: Rows[RatingRow], account: str) -> str:
    row = rows.get(account_key(account))
    assert isinstance(row, AccountRow), account
    return row.time_zone


def _total(rows: Rows[RatingRow], key: str) -> int:
    row = rows.get(key)
    return int(row.total) if isinstance(row, CumulativeRow) else 0
