"""Each boundary of the quick path, met to the unit: beyond it, lines go the slow way."""

from schemas.times import format_instant
from tests.builders import line, rated_document
from tests.projections.balances import DAY, HOUR, T, account, alerts, drawn, grant, held, postings

UNIT = "0.000000001"


def test_lines_at_the_very_instant_of_expiry_come_after_it() -> None:
    """Journal time is half-open: at expires_at the remainder has expired, and is reopened."""
    end = T + DAY
    outcome = drawn(
        account(alerts=[]), grant("g", "10", expires_at=end), line(end, "a", "p", "1", end - 1)
    )
    assert postings(outcome)[1:] == [("expired", "g", "10"), ("reopened", "g", "1")]


def test_an_event_time_at_the_end_is_outside() -> None:
    """Two lines of one batch, the second stamped with the very end of the first one's grant."""
    end = T + DAY
    outcome = drawn(
        account(alerts=[]),
        grant("g", "10", expires_at=end),
        grant("h", "10"),
        line(end - 3, "a", "p", "1", end - 1),
        line(end - 2, "a", "p", "2", end),
    )
    assert postings(outcome)[2:] == [("consumed", "g", "1"), ("consumed", "h", "2")]


def test_a_grant_may_be_emptied_exactly_and_not_by_a_unit_more() -> None:
    """The unit beyond it comes from the next grant."""
    grants = [account(alerts=[]), grant("g", "1", priority=1), grant("h", "10")]
    exactly = drawn(*grants, line(T, "a", "p", "0.5"), line(T, "a", "q", "0.5"))
    assert postings(exactly)[2:] == [("consumed", "g", "0.5"), ("consumed", "g", "0.5")]
    beyond = drawn(*grants, line(T, "a", "p", "0.5"), line(T, "a", "q", "0.500000001"))
    assert postings(beyond)[2:] == [
        ("consumed", "g", "0.5"),
        ("consumed", "g", "0.5"),
        ("consumed", "h", UNIT),
    ]


def test_the_last_unit_depletes() -> None:
    """One unit left tells nothing; none left tells that the balance is depleted."""
    rows = [account(alerts=[]), grant("g", "1"), line(T, "a", "p", "0.999999999")]
    assert alerts(drawn(*rows))[1:] == []
    assert alerts(drawn(*rows, line(T, "a", "p", UNIT)))[1:] == [("balance.depleted",)]


def test_a_late_line_takes_from_an_expired_grant_before_a_live_one() -> None:
    """The burn order does not ask whether a credit had expired."""
    end = T + DAY
    outcome = drawn(
        account(alerts=[]),
        grant("g", "1", expires_at=end),
        grant("h", "10"),
        line(end + HOUR, "a", "p", "0.4"),
        line(end + HOUR, "a", "p", "0.75", end - 1),
        line(end + HOUR, "a", "p", "0.75", end - 1),
    )
    assert postings(outcome)[2:] == [
        ("expired", "g", "1"),
        ("consumed", "h", "0.4"),
        ("reopened", "g", "0.75"),
        ("reopened", "g", "0.25"),
        ("consumed", "h", "0.5"),
    ]


def test_an_early_line_may_draw_on_a_grant_that_is_still_scheduled() -> None:
    """Event time decides; what it took is gone when the grant becomes effective."""
    start = T + DAY
    outcome = drawn(
        account(alerts=[]),
        grant("g", "10", effective_at=start, priority=1),
        grant("h", "10"),
        line(start - 1, "a", "p", "4", start),
        line(start - 1, "a", "p", "3", start - 1),
    )
    assert postings(outcome)[2:] == [("consumed", "g", "4"), ("consumed", "h", "3")]
    assert held(outcome)["available"] == "7"
    after = drawn(
        account(alerts=[]),
        grant("g", "10", effective_at=start, priority=1),
        grant("h", "10"),
        line(start - 1, "a", "p", "4", start),
        line(start, "a", "p", "1"),
    )
    assert held(after)["available"] == "15"


def test_overage_goes_on_quickly_once_it_has_started() -> None:
    """One alert when it leaves zero, however many lines follow; other products still draw."""
    outcome = drawn(
        account(alerts=[]),
        grant("g", "10", products=["q"]),
        line(T, "a", "p", "2"),
        line(T, "a", "p", "3"),
        line(T, "a", "q", "4"),
    )
    assert alerts(outcome)[1:] == [("overage.started",)]
    assert (held(outcome)["overage"], held(outcome)["available"]) == ("5", "6")


def test_a_cap_in_force_now_is_told_of_by_lines_of_before() -> None:
    """Overage of an event before the amendment reaches the cap that came with it."""
    begin = format_instant(T + DAY)
    changes = {"overage": {"mode": "cap", "cap": "10"}}
    amendment = {"id": "m", "account": "a", "contract": "k", "changes": changes}
    contract = {"kind": "Contract", "id": "k", "account": "a", "starts_at": format_instant(T)}
    outcome = drawn(
        account(alerts=[]),
        rated_document(T, contract),
        line(T, "a", "p", "3", contract="k"),
        rated_document(T, {"kind": "amend_contract", "effective_at": begin, **amendment}),
        line(T + DAY, "a", "p", "1", T, contract="k"),
        line(T + DAY, "a", "p", "8", T, contract="k"),
    )
    assert alerts(outcome) == [("overage.started",), ("overage.capped", "10")]
