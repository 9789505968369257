"""Periods of a cadence and durations, on the account's calendar (credits.md 2.2, 2.9 to 2.12)."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tests.simulation.audit.periods import midnight, months_after

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = {"monthly": 1, "quarterly": 3, "annual": 12}
_DAYS: Final = {"daily": 1, "weekly": 7}
_MONDAY: Final = date(1970, 1, 5)
_SECONDS: Final = {"S": 1, "M": 60, "H": 3_600}


def local(time: int, time_zone: str) -> datetime:
    """An instant as the account's clocks show it."""
    return (_EPOCH + timedelta(microseconds=time)).astimezone(ZoneInfo(time_zone))


def start_of(day: date, time_zone: str) -> int:
    """The first instant of a local day."""
    return midnight(day, ZoneInfo(time_zone))


def start_from(time: int, cadence: str, anchor: str | None, time_zone: str) -> int:
    """The first start of a period at or after a time."""
    count = _count(time, cadence, anchor, time_zone)
    start = _start(count, cadence, anchor, time_zone)
    return start if start >= time else _start(count + 1, cadence, anchor, time_zone)


def start_around(time: int, cadence: str, anchor: str | None, time_zone: str) -> int:
    """The start of the period that contains a time."""
    return _start(_count(time, cadence, anchor, time_zone), cadence, anchor, time_zone)


def start_after(time: int, cadence: str, anchor: str | None, time_zone: str) -> int:
    """The next start of a period after a time."""
    return start_from(time + 1, cadence, anchor, time_zone)


def _count(time: int, cadence: str, anchor: str | None, time_zone: str) -> int:
    """The number of the period that contains a time, counted from the anchor."""
    day = local(time, time_zone).date()
    first = _first(cadence, anchor)
    if cadence in _DAYS:
        return (day - first).days // _DAYS[cadence]
    step = _MONTHS[cadence]
    count = ((day.year - first.year) * 12 + day.month - first.month) // step
    return count if months_after(first, count * step) <= day else count - 1


def _start(count: int, cadence: str, anchor: str | None, time_zone: str) -> int:
    first = _first(cadence, anchor)
    if cadence in _DAYS:
        return start_of(first + timedelta(days=count * _DAYS[cadence]), time_zone)
    return start_of(months_after(first, count * _MONTHS[cadence]), time_zone)


def _first(cadence: str, anchor: str | None) -> date:
    """The anchor; without one that of the calendar: a Monday, the 1st of January."""
    if anchor is not None:
        return date.fromisoformat(anchor)
    return _MONDAY if cadence == "weekly" else date(1970, 1, 1)


def later(time: int, duration: str, time_zone: str) -> int:
    """A time and a duration after it: `PT30H` exactly, `P2D` and `P1M` by the local calendar."""
    count, unit = int(duration.strip("PTSMHDW")), duration[-1]
    if duration.startswith("PT"):
        return time + count * _SECONDS[unit] * 1_000_000
    wall = local(time, time_zone).replace(tzinfo=None)
    if unit == "M":
        day = months_after(wall.date(), count)
        wall = wall.replace(year=day.year, month=day.month, day=day.day)
    else:
        wall += timedelta(days=count * (7 if unit == "W" else 1))
    return (wall.replace(tzinfo=ZoneInfo(time_zone)) - _EPOCH) // timedelta(microseconds=1)
