"""The rules of drawdown one by one, with figures worked out by hand (credits.md 4, 6 and 7)."""

import json
from decimal import Decimal
from typing import Any

import pytest

from projections.balances.books import Books, accounts_in
from projections.balances.burn import burn_order, spendable
from projections.balances.due import do_what_is_due, next_due
from projections.balances.row import GrantRow, GrantTerms, check_conservation
from projections.balances.step import Step
from projections.balances.wire import decode_row, encode_row
from projections.rows import MemoryReader
from schemas.times import format_instant
from tests.builders import at, line, rated_document, rated_tick
from tests.projections.balances import (
    DAY,
    HOUR,
    T,
    account,
    alerts,
    drawn,
    grant,
    held,
    postings,
)

BIG = 10**27
PLACE = {"journal_offset": 0, "row": 0, "ordinal": 0}


def a_grant(name: str, **fields: Any) -> GrantRow:
    """A grant row of 10 units."""
    terms: dict[str, Any] = {
        "number": 0,
        "type": "prepaid",
        "contract": None,
        "effective_at": 100,
        "expires_at": 200,
        "own_expires_at": 200,
        "priority": 50,
        "products": None,
        "tags": None,
        "paid": 0,
        "currency": None,
        "rollover": None,
        "request": None,
        "issued_at": 0,
        "digest": "",
        "root": name,
        "times": 0,
    }
    row: dict[str, Any] = {"state": "active", "issued": 10, "remaining": 10}
    for field, value in fields.items():
        (terms if field in terms else row)[field] = value
    begins = terms["effective_at"]
    held = GrantTerms(id=name, root_effective_at=begins, **terms)
    return GrantRow(name, **row, terms=held)


def test_the_burn_order_takes_each_key_before_the_next() -> None:
    """Priority, specificity, expiry, promotional first, effective time, then id by code point."""
    order = [
        a_grant("z", priority=0, expires_at=None),
        a_grant("y", products=("p",), expires_at=None),
        a_grant("x", products=("p", "q"), expires_at=150),
        a_grant("w", expires_at=199, effective_at=120),
        a_grant("v", type="promotional", effective_at=120),
        a_grant("u", effective_at=99),
        a_grant("B", effective_at=100),
        a_grant("a", effective_at=100),
        a_grant("t", expires_at=None, type="promotional"),
        a_grant("0", priority=51),
    ]
    shuffled = order[::-1]
    assert [g.id for g in sorted(shuffled, key=burn_order(None))] == [g.id for g in order]


@pytest.mark.parametrize(
    ("state", "time", "clock", "amount"),
    [
        ("active", 99, 150, 0),
        ("active", 100, 150, 7),
        ("active", 199, 150, 7),
        ("active", 200, 150, 0),
        ("scheduled", 100, 90, 7),
        ("expired", 199, 200, 3),
        ("expired", 199, 249, 3),
        ("expired", 199, 250, 0),
        ("expired", 200, 201, 0),
        ("expired", 99, 201, 0),
    ],
)
def test_what_a_line_may_draw(state: Any, time: int, clock: int, amount: int) -> None:
    """By event time half-open; what expired until its grace of 50 ends, by journal time."""
    remaining, expired = (0, 3) if state == "expired" else (7, 0)
    block = a_grant("g", state=state, remaining=remaining, expired=expired)
    assert amount == spendable(block, time, clock, 50)


def test_a_line_is_drained_in_order_and_the_rest_is_overage() -> None:
    """12 = 2 of the promotion + 5 for its product + 4 of the wallet + 1 overage."""
    outcome = drawn(
        account(alerts=[]),
        grant("wallet", "4"),
        grant("only-p", "5", products=["p"]),
        grant("only-q", "5", products=["q"]),
        grant("gift", "2", type="promotional", priority=10),
        line(T, "a", "p", "12"),
    )
    assert postings(outcome)[4:] == [
        ("consumed", "gift", "2"),
        ("consumed", "only-p", "5"),
        ("consumed", "wallet", "4"),
        ("overage", None, "1"),
    ]
    ordinals = outcome.ledger.get_column("ordinal").to_list()[4:]
    assert ordinals == [(1 << 32) + number for number in range(4)]
    assert held(outcome)["available"] == "5"
    assert held(outcome)["overage"] == "1"
    assert alerts(outcome)[4:] == [("overage.started",)]


def test_a_line_that_costs_nothing_is_told_once() -> None:
    """Amount 0 and no grant; it starts no overage."""
    outcome = drawn(account(), line(T, "a", "p", "0"))
    assert postings(outcome) == [("consumed", None, "0")]
    assert alerts(outcome) == []


def test_the_example_of_the_scenario_page() -> None:
    """10 credits, 0.2 used, the rest expires with the year; a default rule tells nothing."""
    year = at("2027-01-01")
    outcome = drawn(
        account(),
        grant("g1", "10", expires_at=year),
        line(T + DAY, "a", "p", "0.2"),
        rated_tick(year),
    )
    assert held(outcome) == {
        "available": "0",
        "overage": "0",
        "consumed": "0.2",
        "grants": [
            {
                "id": "g1",
                "type": "prepaid",
                "contract": None,
                "issued": "10",
                "consumed": "0.2",
                "expired": "9.8",
                "rolled_over": "0",
                "voided": "0",
                "remaining": "0",
                "state": "expired",
            }
        ],
    }
    assert alerts(outcome) == [
        ("grant.issued", "g1"),
        ("grant.expired", "g1"),
        ("balance.depleted",),
    ]
    assert [alert.at for alert in outcome.alerts[1:]] == [year, year]


def test_late_usage_takes_from_what_expired_and_tells_nobody() -> None:
    """2 of the 9 that expired come back; once the grace is over the next 1 is overage."""
    end = T + DAY
    outcome = drawn(
        account(alerts=[], late_grace="PT2H"),
        grant("g", "10", expires_at=end),
        line(T, "a", "p", "1"),
        line(end + HOUR, "a", "p", "2", time=end - 1),
        line(end + HOUR, "a", "p", "0.5", time=end),
        line(end + 2 * HOUR, "a", "p", "1", time=end - 1),
    )
    assert postings(outcome)[1:] == [
        ("consumed", "g", "1"),
        ("expired", "g", "9"),
        ("reopened", "g", "2"),
        ("overage", None, "0.5"),
        ("overage", None, "1"),
    ]
    assert alerts(outcome)[1:] == [
        ("grant.expired", "g"),
        ("balance.depleted",),
        ("overage.started",),
    ]
    assert held(outcome)["grants"][0]["expired"] == "7"


def test_what_is_due_comes_first_and_is_stamped_with_its_due_time() -> None:
    """At one instant expiries, then grants becoming effective; measured once, after all of them."""
    due = T + DAY
    outcome = drawn(
        account(alerts=[{"id": "r", "measure": "remaining_amount", "thresholds": ["3"]}]),
        grant("b", "5", expires_at=due),
        grant("a", "4", expires_at=due),
        grant("0next", "10", effective_at=due),
        line(due + 5 * HOUR, "a", "p", "8"),
    )
    assert postings(outcome)[3:] == [
        ("expired", "a", "4"),
        ("expired", "b", "5"),
        ("consumed", "0next", "8"),
    ]
    ends = outcome.ledger.get_column("at").to_list()
    assert ends == [T, T, T, due, due, due + 5 * HOUR]
    assert alerts(outcome)[3:] == [
        ("grant.expired", "a"),
        ("grant.expired", "b"),
        ("balance.low", "r", "3"),
    ]


def test_what_time_causes_is_told_with_the_last_item_of_its_instant() -> None:
    """Grants become effective after expiries, whatever their ids; ticks only tell it."""
    due = T + DAY
    rows = [
        account(alerts=[{"id": "r", "measure": "remaining_amount", "thresholds": ["3"]}]),
        grant("z", "5", expires_at=due),
        grant("0", "1", effective_at=due),
    ]
    for late in (0, HOUR, DAY):
        low = drawn(*rows, rated_tick(due + late)).alerts[-1]
        assert (low.rule, low.at, low.cause.key) == ("r", due, f"0@{due}")


def test_a_grant_past_its_end_is_issued_and_expires_at_once() -> None:
    """Never available, so nothing is depleted; stamped with when it became known."""
    outcome = drawn(account(), grant("g", "3", T + 2 * DAY, expires_at=T + DAY))
    assert postings(outcome) == [("issued", "g", "3"), ("expired", "g", "3")]
    assert alerts(outcome) == [("grant.issued", "g"), ("grant.expired", "g")]
    assert {alert.at for alert in outcome.alerts} == {T + 2 * DAY}


def test_one_line_that_jumps_several_thresholds_fires_each_mildest_first() -> None:
    """A grant that brings the measure back re-arms each with one alert; then they fire again."""
    outcome = drawn(
        account(),
        grant("g", "10"),
        line(T, "a", "p", "4.999999999"),
        line(T, "a", "p", "3.000000001"),
        line(T, "a", "p", "2"),
        grant("h", "90"),
        line(T, "a", "p", "40"),
    )
    assert alerts(outcome) == [
        ("grant.issued", "g"),
        ("balance.low", "default", "50"),
        ("balance.low", "default", "80"),
        ("balance.low", "default", "95"),
        ("balance.depleted",),
        ("grant.issued", "h"),
        ("balance.recovered", "default", "50"),
        ("balance.recovered", "default", "80"),
        ("balance.recovered", "default", "95"),
        ("balance.low", "default", "50"),
    ]
    assert len({alert.id for alert in outcome.alerts}) == len(outcome.alerts)


@pytest.mark.parametrize(
    ("measure", "threshold", "before", "cost"),
    [
        ("consumed_percent", "33.333333333", "0.999999999", "0.000000001"),
        ("remaining_percent", "10", "2.699999999", "0.000000001"),
        ("remaining_amount", "1.5", "1.499999999", "0.000000001"),
    ],
)
def test_a_threshold_fires_at_it_and_not_before(
    measure: str, threshold: str, before: str, cost: str
) -> None:
    """The last unit of credit decides, in columns too."""
    rule = {"id": "r", "measure": measure, "thresholds": [threshold]}
    rows = [account(alerts=[rule]), grant("g", "3"), line(T, "a", "p", before)]
    assert alerts(drawn(*rows)) == [("grant.issued", "g")]
    assert alerts(drawn(*rows, line(T, "a", "p", cost)))[1:] == [("balance.low", "r", threshold)]


def test_without_active_grants_there_is_no_data_and_states_stay() -> None:
    """The expiry of a low grant neither fires nor re-arms; a full one re-arms."""
    outcome = drawn(
        account(alerts=[{"id": "r", "measure": "consumed_percent", "thresholds": ["50", "90"]}]),
        grant("g", "10", expires_at=T + DAY),
        line(T, "a", "p", "6"),
        rated_tick(T + DAY),
        grant("h", "10", T + 2 * DAY),
    )
    assert alerts(outcome) == [
        ("grant.issued", "g"),
        ("balance.low", "r", "50"),
        ("grant.expired", "g"),
        ("balance.depleted",),
        ("grant.issued", "h"),
        ("balance.recovered", "r", "50"),
    ]


def test_a_new_threshold_starts_armed() -> None:
    """An update replaces the rules: what was fired stays fired, what is new fires if it is met."""
    rule = {"id": "r", "measure": "consumed_percent"}
    outcome = drawn(
        account(alerts=[{**rule, "thresholds": ["50"]}]),
        grant("g", "10"),
        line(T, "a", "p", "7"),
        account(alerts=[{**rule, "thresholds": ["50", "60", "80"]}]),
    )
    assert alerts(outcome)[1:] == [("balance.low", "r", "50"), ("balance.low", "r", "60")]


def test_the_same_grant_again_changes_nothing_and_another_of_its_id_is_refused() -> None:
    """`10` and `10.0` are the same content; 11 is a conflict, and its bytes are kept."""
    outcome = drawn(account(), grant("g", "10"), grant("g", "10.0"), grant("g", "11"))
    assert postings(outcome) == [("issued", "g", "10")]
    [refused] = outcome.refused
    assert (refused.account, refused.reason) == ("a", "conflict")
    assert json.loads(refused.data)["amount"] == "11"


def test_the_greatest_amounts_stay_exact() -> None:
    """10^18 credits less 10^-9, in many lines of one batch: nothing wraps, nothing rounds."""
    whole = str(10**18)
    lines = [line(T, "a", "p", f"{10**18 - 1}.999999999"), *[line(T, "a", "q", whole)] * 40]
    outcome = drawn(account(alerts=[]), grant("g", whole), *lines)
    assert held(outcome)["overage"] == "39999999999999999999.999999999"
    assert held(outcome)["available"] == "0"


def test_an_alert_as_a_cloudevent() -> None:
    """Texts for amounts, the account as subject, the place that told it."""
    outcome = drawn(account(), grant("g", "2.5"))
    event = json.loads(outcome.alerts[0].to_cloudevent())
    assert event.pop("id") == outcome.alerts[0].id
    assert event == {
        "specversion": "1.0",
        "source": "drawdown",
        "type": "credits.grant.issued",
        "subject": "a",
        "time": "2026-03-01T00:00:00Z",
        "datacontenttype": "application/json",
        "data": {"grant": "g", "amount": "2.5", "at": "2026-03-01T00:00:00Z", "position": "0:0:1"},
    }


def test_a_row_comes_back_from_its_bytes() -> None:
    """Beyond 64 bits, in any order of fired thresholds, whatever the texts hold."""
    outcome = drawn(
        account(name='"é'),
        grant("g", str(10**18), products=["p", "q"]),
        grant("h", "1", expires_at=T + DAY),
        line(T, "a", "p", str(10**18)),
        line(T, "a", "p", "3"),
        rated_tick(T + 9 * DAY),
    )
    for raw in outcome.rows.values():
        assert encode_row(decode_row(raw)) == raw
    row = accounts_in(outcome.rows)["a"]
    assert (row.grants[0].consumed, row.retired, len(row.fired)) == (BIG, 1, 3)
    row.fired = dict(reversed(row.fired.items()))
    row.settled = None
    assert encode_row(row) == outcome.rows["a:a"]


def test_next_due_is_the_earliest_of_what_is_still_to_happen() -> None:
    """A scheduled grant's beginning, an active one's end, the time an ended one is retired."""
    begin, end = T + DAY, T + 3 * DAY
    outcome = drawn(account(late_grace="PT2H"), grant("s", "1", effective_at=begin, expires_at=end))
    row = accounts_in(outcome.rows)["a"]
    assert next_due(row) == row.due == begin
    step = Step(rated_tick(end) | PLACE, Books(MemoryReader()))
    for clock, due in ((begin, end), (end, end + 2 * HOUR), (end + 2 * HOUR, None)):
        assert do_what_is_due(row, clock, step)
        assert next_due(row) == row.due == due


def test_conservation_names_the_grant_that_does_not_add_up() -> None:
    """A unit too many, and a negative part."""
    whole, more = a_grant("whole"), a_grant("more", remaining=11)
    negative = a_grant("negative", remaining=-1, consumed=11)
    breaches = check_conservation("a", [whole, more, negative])
    assert [text.split(":")[0] for text in breaches] == ["a/more", "a/negative"]


def command(kind: str, when: int = T, **fields: Any) -> dict[str, Any]:
    """A command, or a contract, of `a`."""
    return rated_document(when, {"kind": kind, "account": "a", **fields})


def test_what_a_rule_makes_due_is_not_stamped_before_the_rule() -> None:
    """A notice 15 days before the end, by an amendment in force from day 10: stamped day 10."""
    rule = {"id": "e", "measure": "grant_expiring", "thresholds": ["15"]}
    begin = format_instant(T + 10 * DAY)
    amendment = {"id": "m", "contract": "k", "changes": {"alerts": [rule]}}
    outcome = drawn(
        account(alerts=[]),
        command("Contract", id="k", starts_at=format_instant(T)),
        grant("g", "5", contract="k", expires_at=T + 20 * DAY),
        command("amend_contract", T + DAY, effective_at=begin, **amendment),
        line(T + 6 * DAY, "a", "p", "1"),
        rated_tick(T + 11 * DAY),
    )
    [notice] = [alert for alert in outcome.alerts if alert.rule == "e"]
    assert (notice.at, notice.grant) == (T + 10 * DAY, "g")


def test_a_return_of_nothing_is_told_too() -> None:
    """Overage times 0 is no overage; the line that takes it back stands in the ledger."""
    outcome = drawn(
        account(alerts=[], overage={"multiplier": "0"}),
        line(T, "a", "p", "5", before=Decimal(0)),
        line(T, "a", "p", "-5", before=Decimal(1)),
    )
    assert postings(outcome) == [("overage", None, "0"), ("overage", None, "0")]


def test_a_void_returns_no_more_than_a_grant_has_paid() -> None:
    """Slices that somebody made up: of no grant, and beyond what was consumed; the rest is owed."""
    slices = [["nobody", 2 * 10**9], ["g", 9 * 10**9]]
    mirror = json.dumps({"overage": 0, "short": 0, "slices": slices})
    outcome = drawn(
        account(alerts=[]),
        grant("g", "10"),
        line(T, "a", "p", "3"),
        line(T, "a", "p", "-5", mirror=mirror),
    )
    assert postings(outcome)[2:] == [("consumed", "g", "-3"), ("overage", None, "-2")]


def test_the_void_of_a_line_that_gave_back_takes_no_more_than_its_cost() -> None:
    """A crossing of a volume price gave 4 back; its void at another total gives 1 more."""
    mirror = json.dumps({"overage": 0, "short": 0, "slices": [["g", -4 * 10**9]]})
    outcome = drawn(
        account(alerts=[]),
        grant("g", "10"),
        line(T, "a", "p", "6", before=Decimal(0)),
        line(T, "a", "p", "-4", before=Decimal(1)),
        line(T, "a", "p", "-1", before=Decimal(2), mirror=mirror),
    )
    assert postings(outcome)[2:] == [("consumed", "g", "-4"), ("consumed", "g", "-1")]


def test_a_grant_that_ends_before_its_contract_starts_ends_at_its_end() -> None:
    """It is never effective; the tick that comes between finds it expired."""
    outcome = drawn(
        account(alerts=[]),
        command("Contract", id="k", starts_at=format_instant(T + 5 * DAY)),
        grant("g", "5", contract="k", expires_at=T + 2 * DAY),
        rated_tick(T + 3 * DAY),
    )
    assert postings(outcome) == [("issued", "g", "5"), ("expired", "g", "5")]
    assert outcome.alerts[-1].at == T + 2 * DAY


def test_a_notice_is_told_once_whatever_rules_come_and_go() -> None:
    """The rule is taken off and put back: the same notice would have the same id."""
    rule = {"id": "e", "measure": "grant_expiring", "thresholds": ["20"]}
    outcome = drawn(
        account(alerts=[rule]),
        grant("g", "5", expires_at=T + 9 * DAY),
        account(T + DAY, alerts=[]),
        account(T + 2 * DAY, alerts=[rule]),
        rated_tick(T + 3 * DAY),
    )
    assert alerts(outcome) == [("grant.issued", "g"), ("grant.expiring", "e", "20", "g")]
