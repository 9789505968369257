from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.delivery.verdict import (
    MOST_RETRY_AFTER,
    Answer,
    Kind,
    Verdict,
    judge,
    retry_after,
)
from schemas.times import DAY, SECOND

NOW = 1_800_000_000 * SECOND
DELAYS = (5 * SECOND, 300 * SECOND)


def least(_below: int) -> int:
    """The least draw."""
    return 0


def most(below: int) -> int:
    """The greatest draw."""
    return below - 1


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    assert judge(Answer(status), 1, NOW, DELAYS, least) == Verdict(Kind.DELIVERED)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 304, 400, 401, 404, 408, 500, 501])
def test_anything_else_is_tried_again_by_the_schedule(status: int) -> None:
    assert judge(Answer(status), 1, NOW, DELAYS, least) == Verdict(Kind.RETRY, NOW + 5 * SECOND)
    assert judge(Answer(status), 2, NOW, DELAYS, least) == Verdict(Kind.RETRY, NOW + 300 * SECOND)
    assert judge(Answer(status), 3, NOW, DELAYS, least) == Verdict(Kind.DEAD)


@pytest.mark.parametrize("why", ["timeout", "connection", "tls", "refused"])
def test_no_answer_is_a_failure(why: str) -> None:
    assert judge(Answer(None, why), 1, NOW, DELAYS, least).kind is Kind.RETRY
    assert judge(Answer(None, why), 3, NOW, DELAYS, least).kind is Kind.DEAD


def test_jitter_adds_a_fifth_at_most() -> None:
    assert judge(Answer(500), 1, NOW, DELAYS, most).due == NOW + 6 * SECOND
    assert judge(Answer(500), 1, NOW, (0,), most).due == NOW


def test_410_is_the_end_at_any_attempt() -> None:
    for made in (1, 3, 9):
        verdict = judge(Answer(410), made, NOW, DELAYS, least)
        assert verdict.kind is Kind.GONE
        assert verdict.due == verdict.hold == NOW + 5 * SECOND, "the file is read again meanwhile"


def test_retry_after_is_waited_for_and_holds_the_subscription_where_it_is_throttled() -> None:
    asked = Answer(503, retry_after="60")
    assert judge(asked, 1, NOW, DELAYS, most) == Verdict(
        Kind.RETRY, NOW + 60 * SECOND, hold=NOW + 60 * SECOND
    )
    assert judge(asked, 2, NOW, DELAYS, least).due == NOW + 300 * SECOND
    assert judge(Answer(500, retry_after="60"), 1, NOW, DELAYS, least) == Verdict(
        Kind.RETRY, NOW + 60 * SECOND
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("120", 120 * SECOND),
        (" 120 ", 120 * SECOND),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("٣", 0),
        ("9" * 5_000, MOST_RETRY_AFTER),
        ("86401", DAY),
        (
            format_datetime(datetime.fromtimestamp(NOW // SECOND + 90, UTC), usegmt=True),
            90 * SECOND,
        ),
        (format_datetime(datetime.fromtimestamp(NOW // SECOND - 90, UTC), usegmt=True), 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MOST_RETRY_AFTER),
    ],
)
def test_retry_after_in_seconds_and_dates(text: str | None, expected: int) -> None:
    assert retry_after(text, NOW) == expected


@given(st.text(max_size=60))
def test_no_retry_after_raises_or_leaves_its_bounds(text: str) -> None:
    assert 0 <= retry_after(text, NOW) <= MOST_RETRY_AFTER
