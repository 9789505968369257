from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.periods import (
    CADENCES,
    LAST_INSTANT,
    add_duration,
    first_start_from,
    local_date,
    local_day,
    next_start,
    period_at,
    subtract_days,
)
from schemas.times import (
    DAY,
    SECOND,
    day_start,
    format_instant,
    month_period,
    parse_duration,
    parse_instant,
    zone,
)

HOUR = 3600 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, LAST_INSTANT)
ANCHORS = st.none() | st.dates(date(1900, 1, 1), date(2300, 12, 31))
ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Havana",  # midnight comes twice
        "America/St_Johns",  # clocks were set back at 00:01
        "America/Sao_Paulo",  # days without a midnight, as in Beirut, Cairo and Asuncion
        "America/Asuncion",
        "Asia/Beirut",
        "Africa/Cairo",
        "Asia/Kolkata",
        "Australia/Lord_Howe",  # half an hour of daylight saving
        "Pacific/Apia",  # had no 30 December 2011
        "Pacific/Kwajalein",  # had no 21 August 1993
    ]
)
CADENCE = st.sampled_from(CADENCES)


def local(instant: int, time_zone: str) -> datetime:
    """What a clock on the wall shows."""
    moment = (EPOCH + timedelta(microseconds=instant)).astimezone(zone(time_zone))
    return moment.replace(tzinfo=None)


def begins_period(day: date, cadence: str, anchor: date | None) -> bool:
    """Does a period begin on this date? By the calendar alone."""
    if cadence == "daily":
        return True
    if cadence == "weekly":
        return day.weekday() == (0 if anchor is None else anchor.weekday())
    anchor = anchor or date(2000, 1, 1)
    if day.day != min(anchor.day, monthrange(day.year, day.month)[1]):
        return False
    months = {"monthly": 1, "quarterly": 3, "annual": 12}[cadence]
    return (day.month - anchor.month) % months == 0


def reference_period(
    instant: int, cadence: str, anchor: date | None, time_zone: str
) -> tuple[int, int]:
    """Day by day: the last day at or before `instant` that begins a period, and the next after."""

    def found(step: int, fits: Callable[[int], bool]) -> int:
        day = local(instant, time_zone).date() - timedelta(days=2 * step)
        while True:
            start = day_start(day.year, day.month, day.day, time_zone)
            if begins_period(day, cadence, anchor) and fits(start):
                return start
            day += timedelta(days=step)

    return found(-1, lambda start: start <= instant), found(1, lambda start: start > instant)


SAO_PAULO_NO_MIDNIGHT = parse_instant("2017-10-15T03:00:00Z")
BEIRUT_NO_MIDNIGHT = parse_instant("2026-03-28T22:00:00Z")
CAIRO_NO_MIDNIGHT = parse_instant("2026-04-23T22:00:00Z")
APIA_JUMP = parse_instant("2011-12-30T10:00:00Z")
ST_JOHNS_TWICE = parse_instant("2009-11-01T02:30:00Z")


@given(INSTANTS, CADENCE, ANCHORS, ZONES)
@example(SAO_PAULO_NO_MIDNIGHT, "daily", None, "America/Sao_Paulo")
@example(SAO_PAULO_NO_MIDNIGHT - 1, "weekly", date(2017, 10, 15), "America/Sao_Paulo")
@example(BEIRUT_NO_MIDNIGHT, "monthly", date(2026, 1, 29), "Asia/Beirut")
@example(CAIRO_NO_MIDNIGHT - 1, "quarterly", date(2026, 1, 24), "Africa/Cairo")
@example(APIA_JUMP, "daily", None, "Pacific/Apia")
@example(APIA_JUMP - 1, "monthly", date(2011, 1, 30), "Pacific/Apia")
@example(ST_JOHNS_TWICE + HOUR // 2, "daily", None, "America/St_Johns")
@example(0, "annual", date(2000, 2, 29), "America/New_York")
@example(LAST_INSTANT, "annual", date(2000, 2, 29), "Pacific/Apia")
def test_periods_tile_time_as_the_calendar_says(
    instant: int, cadence: str, anchor: date | None, time_zone: str
) -> None:
    """Each instant is in one period, which is the one found day by day; the next one follows."""
    start, end = period_at(instant, cadence, anchor, time_zone)
    assert start <= instant < end
    assert (start, end) == reference_period(instant, cadence, anchor, time_zone)
    assert (start, end) == period_at(start, cadence, anchor, time_zone)
    assert (start, end) == period_at(end - 1, cadence, anchor, time_zone)
    assert end == period_at(end, cadence, anchor, time_zone)[0]
    assert end == next_start(instant, cadence, anchor, time_zone)
    assert end == first_start_from(start + 1, cadence, anchor, time_zone)
    assert start == first_start_from(start, cadence, anchor, time_zone)


@given(INSTANTS, ZONES)
@example(ST_JOHNS_TWICE + HOUR // 2, "America/St_Johns")
def test_without_an_anchor_a_month_is_the_calendars(instant: int, time_zone: str) -> None:
    """Without an anchor a month is the calendar's."""
    assert month_period(instant, time_zone) == period_at(instant, "monthly", None, time_zone)


@pytest.mark.parametrize(
    ("cadence", "anchor", "time_zone", "instant", "starts"),
    [
        (
            "monthly",
            date(2026, 1, 31),
            "UTC",
            "2026-01-31T00:00:00Z",
            ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"],
        ),
        (
            "monthly",
            date(2026, 1, 31),  # before the anchor
            "UTC",
            "2024-02-10T00:00:00Z",
            ["2024-01-31", "2024-02-29", "2024-03-31"],
        ),
        (
            "quarterly",
            date(2025, 11, 30),
            "UTC",
            "2026-01-01T00:00:00Z",
            ["2025-11-30", "2026-02-28", "2026-05-30", "2026-08-30", "2026-11-30"],
        ),
        (
            "annual",
            date(2024, 2, 29),
            "UTC",
            "2024-03-01T00:00:00Z",
            ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"],
        ),
        (
            "weekly",
            date(2026, 1, 1),  # a Thursday
            "Europe/Berlin",  # summer time from Sunday 29 March
            "2026-03-27T00:00:00+01:00",
            ["2026-03-25T23:00:00Z", "2026-04-01T22:00:00Z"],
        ),
        ("weekly", None, "UTC", "2026-11-21T00:00:00Z", ["2026-11-16", "2026-11-23"]),
        ("quarterly", None, "UTC", "2026-06-30T00:00:00Z", ["2026-04-01", "2026-07-01"]),
        ("annual", None, "UTC", "2026-06-30T00:00:00Z", ["2026-01-01", "2027-01-01"]),
        (
            "daily",
            None,
            "America/Sao_Paulo",  # 15 October 2017 began at 01:00
            "2017-10-14T12:00:00Z",
            ["2017-10-14T03:00:00Z", "2017-10-15T03:00:00Z", "2017-10-16T02:00:00Z"],
        ),
        (
            "daily",
            None,
            "Africa/Cairo",  # 24 April 2026 begins at 01:00
            "2026-04-23T12:00:00Z",
            ["2026-04-22T22:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"],
        ),
        (
            "daily",
            None,
            "Pacific/Apia",  # 29 December 2011 was followed by the 31st
            "2011-12-29T12:00:00Z",
            ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"],
        ),
    ],
)
def test_periods_start(
    cadence: str, anchor: date | None, time_zone: str, instant: str, starts: list[str]
) -> None:
    """The period that contains the instant, and those that follow it, counted from the anchor."""
    found = [period_at(parse_instant(instant), cadence, anchor, time_zone)[0]]
    while len(found) < len(starts):
        found.append(next_start(found[-1], cadence, anchor, time_zone))
    expected = [start if "T" in start else f"{start}T00:00:00Z" for start in starts]
    assert expected == [format_instant(start) for start in found]


@given(INSTANTS, ZONES)
@example(ST_JOHNS_TWICE + HOUR // 2, "America/St_Johns")
@example(APIA_JUMP, "Pacific/Apia")
def test_a_local_day_has_one_date(instant: int, time_zone: str) -> None:
    """A local day has one date: that of its start, also where the clocks show its eve again."""
    start, end = local_day(instant, time_zone)
    day = date.fromisoformat(local_date(instant, time_zone))
    assert start == day_start(day.year, day.month, day.day, time_zone)
    assert local_date(start, time_zone) == local_date(end - 1, time_zone) == day.isoformat()
    assert day.isoformat() < local_date(end, time_zone)
    assert local(start, time_zone).date() == day


@pytest.mark.parametrize(
    ("instant", "time_zone", "expected"),
    [
        ("2026-01-01T04:59:59Z", "America/New_York", "2025-12-31"),
        ("2026-01-01T05:00:00Z", "America/New_York", "2026-01-01"),
        ("2009-11-01T02:31:00Z", "America/St_Johns", "2009-11-01"),  # the clocks show 23:01 again
        ("2011-12-30T09:59:59Z", "Pacific/Apia", "2011-12-29"),
        ("2011-12-30T10:00:00Z", "Pacific/Apia", "2011-12-31"),
    ],
)
def test_the_date_is_that_of_the_zone(instant: str, time_zone: str, expected: str) -> None:
    """The date is that of the zone."""
    assert expected == local_date(parse_instant(instant), time_zone)


@pytest.mark.parametrize(
    ("instant", "duration", "time_zone", "expected"),
    [
        ("2026-01-31T12:00:00Z", "P1M", "UTC", "2026-02-28T12:00:00Z"),
        ("2024-01-31T12:00:00Z", "P1M", "UTC", "2024-02-29T12:00:00Z"),
        ("2024-02-29T00:00:00Z", "P1Y", "UTC", "2025-02-28T00:00:00Z"),
        ("2026-01-31T00:00:00Z", "P1M1D", "UTC", "2026-03-01T00:00:00Z"),  # months first
        ("2026-11-30T00:00:00Z", "P1Y3M", "UTC", "2028-02-29T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "P2W", "UTC", "2026-01-15T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "P1DT1H1M1S", "UTC", "2026-01-02T01:01:01Z"),
        # Summer time from 01:00Z on 29 March to 01:00Z on 25 October: the wall time stays.
        ("2026-03-28T11:00:00Z", "P1D", "Europe/Berlin", "2026-03-29T10:00:00Z"),
        ("2026-03-28T11:00:00Z", "PT24H", "Europe/Berlin", "2026-03-29T11:00:00Z"),
        ("2026-03-28T01:30:00Z", "P1D", "Europe/Berlin", "2026-03-29T01:30:00Z"),  # to 03:30
        ("2026-10-24T00:30:00Z", "P1D", "Europe/Berlin", "2026-10-25T00:30:00Z"),  # first of two
        ("2026-10-25T01:30:00Z", "PT1H", "Europe/Berlin", "2026-10-25T02:30:00Z"),
        ("2026-10-25T01:30:00Z", "P0D", "Europe/Berlin", "2026-10-25T01:30:00Z"),  # nothing moves
        ("2026-10-25T01:30:00Z", "P1D", "Europe/Berlin", "2026-10-26T01:30:00Z"),
        (
            "2017-10-14T03:00:00Z",
            "P1D",
            "America/Sao_Paulo",
            "2017-10-15T03:00:00Z",
        ),  # to 01:00
        (
            "2011-12-29T22:00:00Z",
            "P1D",
            "Pacific/Apia",
            "2011-12-30T22:00:00Z",
        ),  # to the 31st
        ("2026-01-01T00:00:00Z", "P9999Y", "UTC", "2200-12-31T23:59:59.999999Z"),
        ("2200-12-31T00:00:00Z", "P9999W99999D", "UTC", "2200-12-31T23:59:59.999999Z"),
        ("2200-12-31T00:00:00Z", "PT24H", "UTC", "2200-12-31T23:59:59.999999Z"),
    ],
)
def test_a_duration_runs_on_the_calendar_of_the_zone(
    instant: str, duration: str, time_zone: str, expected: str
) -> None:
    """Months, then days, at the same wall time, then the exact part; not past the last instant."""
    found = add_duration(parse_instant(instant), parse_duration(duration), time_zone)
    assert expected == format_instant(found)


@given(INSTANTS, st.integers(1, 5000), ZONES)
@example(parse_instant("2026-03-28T01:30:00Z"), 1, "Europe/Berlin")
@example(SAO_PAULO_NO_MIDNIGHT - DAY, 1, "America/Sao_Paulo")
@example(BEIRUT_NO_MIDNIGHT - 7 * DAY, 7, "Asia/Beirut")
@example(APIA_JUMP - HOUR, 1, "Pacific/Apia")
def test_days_keep_the_wall_time_or_come_after_the_gap(
    instant: int, days: int, time_zone: str
) -> None:
    """And going back by as many days gives the wall time again."""
    before = local(instant, time_zone)
    later = add_duration(instant, parse_duration(f"P{days}D"), time_zone)
    if later == LAST_INSTANT:
        return
    wanted = before + timedelta(days=days)
    if local(later, time_zone) == wanted:
        assert before == local(subtract_days(later, days, time_zone), time_zone)
    else:
        exists = wanted.replace(tzinfo=zone(time_zone)).astimezone(UTC)
        assert local((exists - EPOCH) // timedelta(microseconds=1), time_zone) != wanted
        assert local(later, time_zone) > wanted


@given(INSTANTS, st.integers(0, 999_999), ZONES)
def test_an_exact_duration_is_added(instant: int, hours: int, time_zone: str) -> None:
    """Whatever the clocks do."""
    found = add_duration(instant, parse_duration(f"PT{hours}H"), time_zone)
    assert found == min(instant + hours * HOUR, LAST_INSTANT)


@pytest.mark.parametrize(
    ("instant", "days", "time_zone", "expected"),
    [
        ("2026-03-30T22:00:00Z", 7, "Europe/Berlin", "2026-03-23T23:00:00Z"),
        ("2026-03-08T07:30:00Z", 0, "America/New_York", "2026-03-08T07:30:00Z"),
        ("2026-03-09T06:30:00Z", 1, "America/New_York", "2026-03-08T07:30:00Z"),  # to 03:30
        ("1970-01-03T00:00:00Z", 2, "UTC", "1970-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", 10**12, "UTC", "1970-01-01T00:00:00Z"),
    ],
)
def test_days_before(instant: str, days: int, time_zone: str, expected: str) -> None:
    """At the same wall time; at the epoch at the earliest."""
    assert expected == format_instant(subtract_days(parse_instant(instant), days, time_zone))
