"""Billing periods (credits.md section 2): counted from an anchor, never chained."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

_MONTHS: Final = {"monthly": 1, "quarterly": 3, "annual": 12}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def period_start(time: int, time_zone: str, billing: dict[str, Any] | None) -> int:
    """Where the billing period of event time begins; without `billing`, the calendar month."""
    return _bounds(time, time_zone, billing)[0]


def period_end(time: int, time_zone: str, billing: dict[str, Any] | None) -> int:
    """Where the billing period of a time ends: at the start of the next one."""
    return _bounds(time, time_zone, billing)[1]


def _bounds(time: int, time_zone: str, billing: dict[str, Any] | None) -> tuple[int, int]:
    zone = ZoneInfo(time_zone)
    cycle = billing["cycle"] if billing else "monthly"
    anchor = date.fromisoformat((billing or {}).get("anchor") or "1970-01-01")
    local = (_EPOCH + timedelta(microseconds=time)).astimezone(zone).date()
    step = _MONTHS[cycle]
    count = ((local.year - anchor.year) * 12 + local.month - anchor.month) // step
    start = months_after(anchor, count * step)
    if start > local:
        count -= 1
        start = months_after(anchor, count * step)
    return midnight(start, zone), midnight(months_after(anchor, (count + 1) * step), zone)


def midnight(day: date, zone: ZoneInfo) -> int:
    """The first instant of a day; the zones of the traffic have each midnight once."""
    first = datetime(day.year, day.month, day.day, tzinfo=zone)
    return (first - _EPOCH) // timedelta(microseconds=1)


def months_after(day: date, months: int) -> date:
    """The day so many months later, or the last that its month has."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))
