"""Pages of alerts, put together, are the account's alerts: in both directions."""

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from projections.reading import alerts
from projections.reading.alerts import AlertPage, newest_first, oldest_first

Record = tuple[str, int]
"""An account, and the number of its alert."""


def read_of(log: list[Record]) -> alerts.Read:
    """A reader of the log."""

    def read(begin: int, end: int) -> Iterator[tuple[int, bytes | None, bytes]]:
        for offset in range(begin, end):
            account, number = log[offset]
            yield offset, account.encode(), json.dumps({"id": f"{account}{number}"}).encode()

    return read


def all_pages(turn: Any, limit: int) -> list[str]:
    """What every page has, one after the other."""
    found: list[str] = []
    page: AlertPage = turn(None)
    while True:
        ids = [event["id"] for event in page.alerts]
        assert len(ids) == len(set(ids)) <= limit
        found += ids
        if page.after is None:
            return found
        page = turn(page.after)


records = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 9)), max_size=60)


@given(records, st.integers(1, 5), st.sampled_from([3, 20_000]))
def test_every_alert_is_on_a_page(log: list[Record], limit: int, most: int) -> None:
    read, bounds = read_of(log), (0, len(log))
    patched: Any = alerts
    before = patched.MOST_RECORDS, patched._FIRST_CHUNK
    patched.MOST_RECORDS, patched._FIRST_CHUNK = most, 2
    try:
        oldest = all_pages(lambda at: oldest_first(read, bounds, "a", at, limit), limit)
        newest = all_pages(lambda at: newest_first(read, bounds, "a", at, limit), limit)
    finally:
        patched.MOST_RECORDS, patched._FIRST_CHUNK = before
    own = [f"a{number}" for account, number in log if account == "a"]
    assert set(oldest) == set(newest) == set(own)
    if len(set(own)) == len(own):
        assert oldest == newest[::-1] == own
