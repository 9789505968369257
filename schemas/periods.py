"""Periods of a time zone's calendar, and calendar durations (credits.md section 2).

A period begins at the first instant of a local day. Its days are counted from an anchor, never from
the period before: anchor 31 January gives 28 or 29 February, then 31 March. Without an anchor
periods are the calendar's: the day, the week from Monday, the month, the quarter, the year.
Periods tile time: each instant is in exactly one, whatever the clocks of the zone do.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from schemas.times import Duration, day_start, parse_instant, zone

_MONTHS: Final = {"monthly": 1, "quarterly": 3, "annual": 12}
_DAYS: Final = {"daily": 1, "weekly": 7}
CADENCES: Final = (*_DAYS, *_MONTHS)

LAST_INSTANT: Final = parse_instant("2200-12-31T23:59:59.999999Z")
"""The last instant that a document can hold; a duration ends here at the latest."""

_CALENDAR: Final = date(1970, 1, 1)
_MONDAY: Final = date(1970, 1, 5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_BEFORE, _BEYOND = date(1969, 12, 30).toordinal(), date(2201, 1, 3).toordinal()


def period_at(instant: int, cadence: str, anchor: date | None, time_zone: str) -> tuple[int, int]:
    """The period [start, end) that contains `instant`, also before the anchor.

    `cadence` is one of CADENCES. A period's length is never 0: of a local day that the zone skipped
    (Apia's 30 December 2011) there is none.
    """
    counted_from = _anchor(cadence, anchor)
    index = _index(instant, cadence, counted_from, time_zone)
    return (
        _start(index, cadence, counted_from, time_zone),
        _start(index + 1, cadence, counted_from, time_zone),
    )


def next_start(instant: int, cadence: str, anchor: date | None, time_zone: str) -> int:
    """The first start of a period after `instant`."""
    return period_at(instant, cadence, anchor, time_zone)[1]


def first_start_from(instant: int, cadence: str, anchor: date | None, time_zone: str) -> int:
    """The first start of a period at or after `instant`."""
    start, end = period_at(instant, cadence, anchor, time_zone)
    return start if start == instant else end


def local_day(instant: int, time_zone: str) -> tuple[int, int]:
    """The local day [start, end) that contains `instant`."""
    return period_at(instant, "daily", None, time_zone)


def local_date(instant: int, time_zone: str) -> str:
    """The date, YYYY-MM-DD, of the local day that contains `instant`.

    Where clocks set back at midnight show a day's end twice, the second showing belongs to the day
    that has begun.
    """
    index = _index(instant, "daily", _CALENDAR, time_zone)
    return (_CALENDAR + timedelta(days=index)).isoformat()


def add_duration(instant: int, duration: Duration, time_zone: str) -> int:
    """`instant` plus months (the day clamped to the month's end), then days, then the exact part.

    Months and days keep the local wall time: of two such times it is the first, and one that the
    clocks skip is read with the offset before the jump (RFC 5545 section 3.3.5), which is after
    it. Ends at LAST_INSTANT at the latest, so that an expiry can always be written.
    """
    if duration.months or duration.days:
        instant = _on_the_calendar(instant, duration.months, duration.days, time_zone)
    return min(instant + duration.exact, LAST_INSTANT)


def subtract_days(instant: int, days: int, time_zone: str) -> int:
    """The same local wall time `days` before, by the rules of `add_duration`; 0 at the earliest."""
    return max(0, _on_the_calendar(instant, 0, -days, time_zone)) if days else instant


def _anchor(cadence: str, anchor: date | None) -> date:
    if anchor is not None:
        return anchor
    return _MONDAY if cadence == "weekly" else _CALENDAR


def _index(instant: int, cadence: str, anchor: date, time_zone: str) -> int:
    """The number of the period that contains `instant`; the anchor's is 0."""
    local = _local(instant, time_zone)
    if cadence in _DAYS:
        index = (local.toordinal() - anchor.toordinal()) // _DAYS[cadence]
    else:
        months = (local.year - anchor.year) * 12 + local.month - anchor.month
        index = months // _MONTHS[cadence]
    while _start(index, cadence, anchor, time_zone) > instant:  # its day comes later in the month
        index -= 1
    while _start(index + 1, cadence, anchor, time_zone) <= instant:  # the clocks were set back
        index += 1
    return index


@lru_cache(maxsize=65_536)
def _start(index: int, cadence: str, anchor: date, time_zone: str) -> int:
    if cadence in _DAYS:
        day = anchor + timedelta(days=index * _DAYS[cadence])
    else:
        day = _months_after(anchor, index * _MONTHS[cadence])
    return day_start(day.year, day.month, day.day, time_zone)


def _months_after(day: date, months: int) -> date:
    """The same day of another month, or that month's last."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _on_the_calendar(instant: int, months: int, days: int, time_zone: str) -> int:
    local = _local(instant, time_zone)
    if local.year + months // 12 >= 2201:  # far beyond what a date holds, perhaps
        return LAST_INSTANT
    ordinal = _months_after(local.date(), months).toordinal() + days
    day = date.fromordinal(min(max(ordinal, _BEFORE), _BEYOND))
    moved = local.replace(year=day.year, month=day.month, day=day.day, fold=0)
    return (moved - _EPOCH) // _MICROSECOND


def _local(instant: int, time_zone: str) -> datetime:
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(zone(time_zone))
