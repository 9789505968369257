"""Instants and durations (credits.md section 2).

An instant is an `int`: microseconds since the epoch, UTC. Every interval is half-open.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BEGIN: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the same without its offset, to be printed
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST_YEAR, _LAST_YEAR = 1970, 2200
_END: Final = (date(_LAST_YEAR + 1, 1, 1).toordinal() - _EPOCH_DAY) * DAY

_is_common: Final = re.compile(  # read once per event, so without a detour
    r"(?:19[7-9]|2[01][0-9])[0-9]-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:\.[0-9]{1,6})?Z",
    re.ASCII,
).fullmatch
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,18}))?([Zz]|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
_DURATION: Final = re.compile(
    r"P(?=[0-9T])(?:([0-9]{1,4})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,8})S)?)?",
    re.ASCII,
)


class TimeError(ValueError):
    """A text that is not an instant, a duration or a time zone; says what was expected."""


@lru_cache(maxsize=4096)
def _days(text: str) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        message = f"expected a date that exists, got {text!r}"
        raise TimeError(message) from error
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        message = f"expected a year from {_FIRST_YEAR} to {_LAST_YEAR}, got {day.year}"
        raise TimeError(message)
    return day.toordinal() - _EPOCH_DAY


def parse_instant(text: str, *, naive_is_utc: bool = False) -> int:
    """Microseconds of an RFC 3339 time. Digits beyond microseconds are taken only if they are zero.

    Raises TimeError; a time without an offset is refused unless `naive_is_utc`.
    """
    if _is_common(text):
        try:
            return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
        except ValueError:
            pass  # a day or a time that does not exist: the slow way says which
    return _parse_slowly(text, naive_is_utc=naive_is_utc)


def _parse_slowly(text: str, *, naive_is_utc: bool) -> int:
    match = _INSTANT.fullmatch(text)
    if match is None:
        message = f"expected an RFC 3339 time such as 2026-01-01T00:00:00Z, got {text[:40]!r}"
        raise TimeError(message)
    day, hour, minute, second, fraction, offset = match.groups()
    if offset is None and not naive_is_utc:
        message = f"expected an offset such as Z or +01:00, got {text!r}"
        raise TimeError(message)
    if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        message = f"expected a time of day that exists, got {text!r}"
        raise TimeError(message)
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
    instant = _days(day) * DAY + seconds * SECOND + _fraction(fraction or "", text)
    instant -= _offset(offset or "Z")
    if not 0 <= instant < _END:
        message = f"expected a year from {_FIRST_YEAR} to {_LAST_YEAR}, got {text!r}"
        raise TimeError(message)
    return instant


def _fraction(digits: str, text: str) -> int:
    if digits[6:].strip("0"):
        message = f"expected at most microseconds, got {text!r}"
        raise TimeError(message)
    return int(digits[:6].ljust(6, "0"))


def _offset(text: str) -> int:
    if text in ("Z", "z"):
        return 0
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        message = f"expected an offset that exists, got {text}"
        raise TimeError(message)
    ahead = (hours * 3600 + minutes * 60) * SECOND
    return ahead if text[0] == "+" else -ahead


def format_instant(instant: int) -> str:
    """RFC 3339 in UTC; a fraction only where there is one, without trailing zeros."""
    moment = _BEGIN + timedelta(microseconds=instant)
    text = moment.isoformat()
    return f"{text.rstrip('0') if moment.microsecond else text}Z"


@dataclass(frozen=True, slots=True)
class Duration:
    """An ISO 8601 duration: a calendar part (run in a time zone) and an exact part."""

    months: int
    days: int
    exact: int
    text: str

    @property
    def microseconds(self) -> int:
        """The length where days count as 24 hours. Raises TimeError where there are months."""
        if self.months:
            message = f"expected a duration without months or years, got {self.text}"
            raise TimeError(message)
        return self.days * DAY + self.exact


def parse_duration(text: str) -> Duration:
    """`P30D`, `P1M`, `PT48H`, `P1DT12H` … Raises TimeError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        message = f"expected an ISO 8601 duration such as P30D or PT48H, got {text[:40]!r}"
        raise TimeError(message)
    years, months, weeks, days, hours, minutes, seconds = (int(g or 0) for g in match.groups())
    exact = (hours * 3600 + minutes * 60 + seconds) * SECOND
    return Duration(years * 12 + months, weeks * 7 + days, exact, text)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA time zone. Raises TimeError where there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"expected an IANA time zone such as Europe/Berlin, got {name!r}"
        raise TimeError(message) from error


def day_start(year: int, month: int, day: int, time_zone: str) -> int:
    """The first instant of a local day, also where midnight does not exist or comes twice."""
    where = zone(time_zone)
    midnight = datetime(year, month, day, tzinfo=where)  # the first of two
    start = _micros(midnight)
    if _local(start, where).replace(tzinfo=where, fold=0) == midnight:
        return start
    low, high = start - DAY, start + DAY // 2  # the clocks jump over midnight: to the jump's end
    while high - low > 1:
        middle = (low + high) // 2
        if _local(middle, where).date() < midnight.date():
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=65_536)
def _month(year: int, month: int, time_zone: str) -> tuple[int, int]:
    following = (year, month + 1) if month < 12 else (year + 1, 1)
    return day_start(year, month, 1, time_zone), day_start(*following, 1, time_zone)


def month_period(instant: int, time_zone: str) -> tuple[int, int]:
    """The calendar month of `time_zone` that contains `instant`, as [start, end).

    Where clocks set back at midnight show the last day's end twice, the second showing belongs to
    the month that has begun.
    """
    local = _local(instant, zone(time_zone))
    start, end = _month(local.year, local.month, time_zone)
    if instant < end:
        return start, end
    return month_period(end + DAY, time_zone)


def _local(instant: int, where: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(where)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _validate_instant(value: Any) -> int:  # noqa: ANN401 - whatever a document holds
    if not isinstance(value, str):
        message = f"expected an RFC 3339 time, got {type(value).__name__}"
        raise TimeError(message)
    return parse_instant(value)


Instant = Annotated[
    int,
    PlainValidator(_validate_instant),
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
