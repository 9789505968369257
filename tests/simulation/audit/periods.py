"""Billing periods (credits.md section 2): counted from an anchor, never chained."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

_MONTHS: Final = {"monthly": 1, "quarterly": 3, "annual": 12}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def period_start(time: int, time_zone: str, billing: dict[str, Any] | None) -> int:
    """Where the billing period of event time begins; without `billing`, the calendar month."""
    zone = ZoneInfo(time_zone)
    cycle = billing["cycle"] if billing else "monthly"
    anchor = date.fromisoformat((billing or {}).get("anchor") or "1970-01-01")
    local = (_EPOCH + timedelta(microseconds=time)).astimezone(zone).date()
    step = _MONTHS[cycle]
    count = ((local.year - anchor.year) * 12 + local.month - anchor.month) // step
    start = _months_after(anchor, count * step)
    if start > local:
        start = _months_after(anchor, (count - 1) * step)
    midnight = datetime(start.year, start.month, start.day, tzinfo=zone)
    return (midnight - _EPOCH) // timedelta(microseconds=1)


def _months_after(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (following - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))
