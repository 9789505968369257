from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.audit import Expected, audit, expected_of
from tests.bench.job import (
    DEPLETED,
    LOW,
    NANO,
    PRICES,
    Balance,
    Grants,
    account_name,
    cost,
    crossed,
    drawn,
    grants_of,
)
from tests.bench.load import usage, write_usage

_LINE = (
    '{account}\t{{"specversion":"1.0","id":"{id}","source":"s","type":"llm.request",'
    '"subject":"{account}","time":"2026-01-01T00:00:00Z","data":{{"model":"large","region":"eu",'
    '"input_tokens":{tokens},"output_tokens":0}}}}\n'
)


@pytest.fixture
def expected(tmp_path: Path) -> Expected:
    """Account 0 holds 5 credits; 2,000 input tokens cost 4.1; e1 comes twice."""
    path = tmp_path / "usage"
    events = (("e1", 2_000), ("e1", 2_000), ("e2", 1_000))
    lines = [_LINE.format(account="account-0", id=i, tokens=tokens) for i, tokens in events]
    lines.append(_LINE.format(account="account-9", id="e1", tokens=1_000))
    path.write_text("".join(lines))
    return expected_of(path, 10)


ALERTS = [("a", "account-0", LOW), ("b", "account-0", DEPLETED)]


def test_what_is_right_is_a_sum_over_the_file(expected: Expected) -> None:
    ample = 100_000_000 * NANO
    assert (expected.events, expected.distinct) == (4, 3)
    assert expected.balances == {
        "account-0": Balance(6_150_000_000, 0, 0, 1_150_000_000),
        "account-9": Balance(2_050_000_000, ample // 5 - 2_050_000_000, ample * 4 // 5, 0),
    }
    assert expected.alerts == {("account-0", LOW), ("account-0", DEPLETED)}


def test_what_is_right_is_exact_in_any_order_and_with_repeated_alerts(expected: Expected) -> None:
    unused = {account_name(1): Balance(0, 1, 4, 0)}
    verdict = audit(expected, {**unused, **expected.balances}, [*ALERTS[::-1], ALERTS[0]])
    assert verdict.exact
    assert verdict.repeated_alerts == 1


@pytest.mark.parametrize(
    ("field", "by"), [("consumed", 1), ("consumed", -1), ("promo", 1), ("main", -1), ("overage", 1)]
)
def test_a_nano_of_difference_is_found(expected: Expected, field: str, by: int) -> None:
    found = expected.balances["account-9"]
    planted = replace(found, **{field: getattr(found, field) + by})
    verdict = audit(expected, {**expected.balances, "account-9": planted}, ALERTS)
    assert verdict.wrong_balances == 1
    assert verdict.consumed_nano == (by if field == "consumed" else 0)
    assert not verdict.exact


def test_an_account_that_is_missing_or_too_many_is_found(expected: Expected) -> None:
    lost = {"account-0": expected.balances["account-0"]}
    assert audit(expected, lost, ALERTS).consumed_nano == -2_050_000_000
    made_up = {**expected.balances, "account-1": Balance(1, 0, 0, 0)}
    assert not audit(expected, made_up, ALERTS).exact


@pytest.mark.parametrize(
    "alerts",
    [
        ALERTS[:1],
        [*ALERTS, ("c", "account-0", LOW)],
        [*ALERTS, ("c", "account-9", LOW)],
        [ALERTS[0], ("a", "account-0", DEPLETED)],
    ],
    ids=["missing", "two ids", "not due", "one id of two"],
)
def test_a_wrong_alert_is_found(expected: Expected, alerts: list[tuple[str, str, str]]) -> None:
    assert audit(expected, expected.balances, alerts).wrong_alerts == 1


def test_alerts_are_due_at_a_fifth_and_at_nothing() -> None:
    grants = Grants(20, 80)
    assert crossed(grants, 79) == set()
    assert crossed(grants, 80) == {LOW}
    assert crossed(grants, 99) == {LOW}
    assert crossed(grants, 100) == {LOW, DEPLETED}
    assert drawn(grants, 30) == Balance(30, 0, 70, 0)
    assert drawn(grants, 120) == Balance(120, 0, 0, 20)


def test_the_load_makes_some_accounts_low_and_some_depleted(tmp_path: Path) -> None:
    path = tmp_path / "usage"
    write_usage(path, 20_000, 2_000, 0)
    found = expected_of(path, 2_000)
    low = {account for account, kind in found.alerts if kind == LOW}
    depleted = {account for account, kind in found.alerts if kind == DEPLETED}
    assert depleted < low < set(found.balances)
    assert found.distinct < found.events == 20_000


def test_a_cost_is_that_of_its_model_and_region() -> None:
    assert cost("large", "eu", 1_000, 1) == 1_000 * 2_050_000 + 8_200_000
    assert cost("tiny", "ap", 1, 0) == 5_250_000
    assert len(set(PRICES.values())) == len(PRICES)
    assert grants_of(30) == Grants(10 * NANO, 40 * NANO)


def test_the_same_seed_makes_the_same_usage() -> None:
    assert list(usage(500, 10, 0)) == list(usage(1_000, 10, 0))[:500]
