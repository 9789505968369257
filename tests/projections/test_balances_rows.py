"""Rows stay bounded: what a commit writes of an account, however long it lives."""

from typing import Any

from projections.balances.books import hot_key, terms_key
from schemas.times import DAY
from tests.bench.load import catalog, rich_accounts
from tests.builders import drawn_by_reference
from tests.rating import at, document, journal, rated_by_reference, tick, usage

NOW = at("2026-03-01")
HOT = 1_024
"""Bytes of a hot row: five grants, a contract, thresholds, two dozen keys."""


def rows_after(documents: list[dict[str, Any]], *more: dict[str, Any]) -> dict[str, bytes]:
    """What balances keep."""
    rows = [document(NOW, fields) for fields in documents]
    rated, _ = rated_by_reference(journal([*rows, *more]))
    return drawn_by_reference(rated).rows


def test_a_hot_row_is_about_a_kilobyte() -> None:
    """Of an account with credits, and of one in overage under every key."""
    accounts = list(rich_accounts(2, NOW))
    used = [
        usage(
            NOW + DAY + number,
            f"account-{number % 2}",
            {"model": model, "region": region, "input_tokens": 10, "output_tokens": 10},
            "llm.request",
        )
        for number, (model, region) in enumerate(
            (model, region)
            for model in ("large", "medium", "small", "tiny")
            for region in ("eu", "us", "ap")
            for _ in range(2)
        )
    ]
    rows = rows_after([*catalog(rich=True), *accounts], *used)
    sizes = [len(rows[hot_key(f"account-{number}")]) for number in range(2)]
    assert min(sizes) > 300
    assert max(sizes) <= HOT


def test_a_year_of_daily_grants_leaves_the_row_as_it_was() -> None:
    """365 occurrences, each retired when its late grace is over: three are still reachable."""
    daily = {"id": "daily", "type": "promotional", "amount": "5", "cadence": "daily"}
    account = {
        "kind": "Account",
        "id": "a",
        "alerts": [],
        "recurring": [{**daily, "expiry": "end_of_period"}],
    }
    ticks = [tick(NOW + day * DAY) for day in range(1, 366)]
    rows = rows_after([account], *ticks)
    assert sum(key.startswith("g:a|") for key in rows) == 363
    assert len(rows[hot_key("a")]) <= HOT
    assert len(rows[terms_key("a")]) <= 2 * HOT
