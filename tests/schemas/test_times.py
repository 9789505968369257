from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.times import (
    DAY,
    SECOND,
    TimeError,
    _parse_slowly,
    day_start,
    format_instant,
    month_period,
    parse_duration,
    parse_instant,
    zone,
)

HOUR = 3600 * SECOND
LAST = parse_instant("2200-12-31T23:59:59.999999Z")
INSTANTS = st.integers(0, LAST)
ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Havana",
        "America/St_Johns",
        "America/Sao_Paulo",
        "Asia/Kolkata",
        "Asia/Beirut",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Kiritimati",
    ]
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01t00:00:00z", "2026-01-01T00:00:00Z"),
        ("2026-01-01 00:00:00.5Z", "2026-01-01T00:00:00.5Z"),
        ("2026-01-01T00:00:00.1234560Z", "2026-01-01T00:00:00.123456Z"),
        ("2026-01-01T00:00:00+01:00", "2025-12-31T23:00:00Z"),
        ("2026-01-01T00:00:00.000001-05:30", "2026-01-01T05:30:00.000001Z"),
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ],
)
def test_an_instant_is_read_in_utc(text: str, canonical: str) -> None:
    """An instant is read in UTC."""
    assert canonical == format_instant(parse_instant(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "RFC 3339"),
        ("now", "RFC 3339"),
        ("2026-01-01", "RFC 3339"),
        ("20260101T000000Z", "RFC 3339"),
        ("2026-W01-1T00:00:00Z", "RFC 3339"),
        ("2026-01-01T00:00Z", "RFC 3339"),
        ("2026-01-01T00:00:00,5Z", "RFC 3339"),
        ("2026-01-01T00:00:00.Z", "RFC 3339"),
        ("2026-01-01T00:00:00.5+1Z", "RFC 3339"),
        ("2026-01-01T00:00:00Z\n", "RFC 3339"),
        ("\uff12026-01-01T00:00:00Z", "RFC 3339"),
        ("2026-01-01T00:00:00", "offset"),
        ("2026-02-30T00:00:00Z", "date that exists"),
        ("2026-13-01T00:00:00Z", "date that exists"),
        ("2026-01-01T24:00:00Z", "time of day"),
        ("2026-01-01T00:60:00Z", "time of day"),
        ("2026-01-01T23:59:60Z", "time of day"),
        ("2026-01-01T00:00:00+24:00", "offset that exists"),
        ("2026-01-01T00:00:00.0000001Z", "microseconds"),
        ("1969-12-31T23:59:59Z", "1970 to 2200"),
        ("1970-01-01T00:00:00+00:01", "1970 to 2200"),
        ("2201-01-01T00:00:00Z", "1970 to 2200"),
        ("2200-12-31T23:59:59-00:01", "1970 to 2200"),
    ],
)
def test_what_is_no_instant_is_refused_with_what_was_expected(text: str, expected: str) -> None:
    """What is no instant is refused with what was expected."""
    with pytest.raises(TimeError, match=expected):
        parse_instant(text)


def test_a_time_of_a_file_without_an_offset_may_be_utc() -> None:
    """A time of a file without an offset may be UTC."""
    instant = parse_instant("2023-11-16 18:15:46.6805900", naive_is_utc=True)
    assert format_instant(instant) == "2023-11-16T18:15:46.68059Z"


@given(INSTANTS)
@example(LAST)
def test_an_instant_is_given_back_by_both_ways_of_reading(instant: int) -> None:
    """An instant is given back by both ways of reading."""
    text = format_instant(instant)
    assert instant == parse_instant(text)
    assert instant == _parse_slowly(text, naive_is_utc=False)


@given(st.integers(DAY, LAST - DAY), st.integers(-1439, 1439))
def test_an_offset_changes_nothing(instant: int, minutes: int) -> None:
    """An offset changes nothing."""
    where = timezone(timedelta(minutes=minutes))
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(where)
    assert instant == parse_instant(local.isoformat())


@pytest.mark.parametrize(
    ("text", "months", "days", "exact"),
    [
        ("P30D", 0, 30, 0),
        ("P1M", 1, 0, 0),
        ("P1Y2M", 14, 0, 0),
        ("P2W", 0, 14, 0),
        ("PT48H", 0, 0, 48 * HOUR),
        ("P1DT1H1M1S", 0, 1, HOUR + 61 * SECOND),
    ],
)
def test_a_duration_has_a_calendar_and_an_exact_part(
    text: str, months: int, days: int, exact: int
) -> None:
    """A duration has a calendar and an exact part."""
    duration = parse_duration(text)
    assert (months, days, exact) == (duration.months, duration.days, duration.exact)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "1D", "P1H", "PT1D", "-P1D", "P1.5D", "p1d", "P1DT"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """What is no duration is refused."""
    with pytest.raises(TimeError, match="ISO 8601"):
        parse_duration(text)


def test_months_have_no_length() -> None:
    """Months have no length."""
    assert parse_duration("P2D").microseconds == 2 * DAY
    with pytest.raises(TimeError, match="without months"):
        _ = parse_duration("P1M").microseconds


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "a\0b"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    """An unknown zone is refused."""
    with pytest.raises(TimeError, match="IANA"):
        zone(name)


@pytest.mark.parametrize(
    ("instant", "time_zone", "start", "end"),
    [
        ("2026-02-28T23:59:59Z", "UTC", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("2026-03-01T00:00:00Z", "UTC", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"),
        ("2026-03-15T00:00:00Z", "Europe/Berlin", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"),
        ("2025-12-31T11:00:00Z", "Pacific/Apia", "2025-12-31T11:00:00Z", "2026-01-31T11:00:00Z"),
    ],
)
def test_the_month_is_that_of_the_zone(instant: str, time_zone: str, start: str, end: str) -> None:
    """The month is that of the zone."""
    found = month_period(parse_instant(instant), time_zone)
    assert (start, end) == tuple(map(format_instant, found))


def test_a_day_without_midnight_starts_where_the_clocks_jump_to() -> None:
    """A day without midnight starts where the clocks jump to."""
    start = day_start(2018, 11, 4, "America/Sao_Paulo")
    assert format_instant(start) == "2018-11-04T03:00:00Z"


def test_of_two_midnights_the_first_starts_the_month() -> None:
    """St. John's set its clocks back at 00:01 on 1 November 2009, and October showed again."""
    start = parse_instant("2009-11-01T02:30:00Z")
    assert month_period(start, "America/St_Johns")[0] == start
    assert month_period(start + HOUR // 2, "America/St_Johns")[0] == start
    assert month_period(start - 1, "America/St_Johns")[1] == start


@given(INSTANTS, ZONES)
def test_months_follow_each_other_without_gap_or_overlap(instant: int, time_zone: str) -> None:
    """Months follow each other without gap or overlap."""
    start, end = month_period(instant, time_zone)
    assert start <= instant < end
    assert 27 * DAY < end - start < 32 * DAY
    assert (start, end) == month_period(start, time_zone) == month_period(end - 1, time_zone)
    assert end == month_period(end, time_zone)[0]
