"""Pages of a ledger, put together, are the ledger: in both directions, whatever writers did."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.balances.postings import Posting, ledger_frame
from projections.fold.cut import cut_frames
from projections.reading import ledger
from projections.reading.ledger import Page, Place, newest_first, oldest_first, spread
from schemas.frames import FrameKind

Log = list[bytes]
ACCOUNTS = ("acme", "other")


def posting(record: int, row: int) -> Posting:
    """The posting of a journal row."""
    account = ACCOUNTS[(record * 3 + row) % 2]
    grant = f"g{record}-{row}"
    return Posting(record, row, 0, 1_000_000 * record, account, "issued", grant, 5 + record)


def frames(begin: int, end: int, rows: list[int]) -> Log:
    """What a writer makes of the journal's records from one up to another."""
    found = [posting(record, row) for record in range(begin, end) for row in range(rows[record])]
    upto = spread((end, 0, 0))
    return cut_frames(FrameKind.LEDGER, ledger_frame(found), spread((begin, 0, 0)), upto)


@st.composite
def logs(draw: st.DrawFn) -> tuple[Log, list[int], int]:
    """A log, the rows of each journal record, and up to where balances have committed.

    Its writers stop anywhere, and begin again at what was committed.
    """
    rows = draw(st.lists(st.integers(0, 4), min_size=1, max_size=14))
    log: Log = []
    at = committed = furthest = 0
    for _ in range(draw(st.integers(1, 25))):
        if draw(st.booleans()):
            end = draw(st.integers(at, len(rows)))
            log += frames(at, end, rows)
            at, furthest = end, max(furthest, end)
        elif draw(st.booleans()):
            committed = draw(st.integers(committed, max(committed, at)))
        else:
            at = committed
    return log, rows, committed


def expected(rows: list[int], committed: int) -> list[str]:
    """The grants of acme's postings below what is committed, the oldest first."""
    made = [posting(record, row) for record in range(committed) for row in range(rows[record])]
    return [each.grant or "" for each in made if each.account == "acme"]


Turn = Callable[[Place | None], Page]


def all_pages(turn: Turn, limit: int) -> list[str]:
    """What every page has, one after the other."""
    found: list[str] = []
    page = turn(None)
    for _ in range(500):
        assert len(page.lines) <= limit
        found += [line["grant"] for line in page.lines]
        if page.after is None:
            return found
        page = turn(page.after)
    raise AssertionError("it does not end")


def reading(log: Log) -> ledger.Read:
    """A reader of it."""

    def read(begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        assert 0 <= begin <= end <= len(log)
        return iter(list(enumerate(log))[begin:end])

    return read


@pytest.mark.parametrize("most", [2, 5_000])
@given(logs(), st.integers(1, 6))
def test_pages_are_the_ledger(most: int, made: tuple[Log, list[int], int], limit: int) -> None:
    log, rows, committed = made
    read, bounds, upto = reading(log), (0, len(log)), spread((committed, 0, 0))
    wanted = expected(rows, committed)
    before = ledger.MOST_RECORDS, ledger._FIRST_CHUNK
    patched: Any = ledger
    patched.MOST_RECORDS, patched._FIRST_CHUNK = most, 2
    try:
        oldest = all_pages(
            lambda start: oldest_first(read, bounds, upto, "acme", start, limit), limit
        )
        newest = all_pages(
            lambda start: newest_first(read, bounds, upto, "acme", start, limit), limit
        )
    finally:
        patched.MOST_RECORDS, patched._FIRST_CHUNK = before
    assert oldest == wanted
    assert newest == wanted[::-1]


def test_a_line_is_told_exactly() -> None:
    log = frames(0, 1, [1])
    page = oldest_first(reading(log), (0, len(log)), spread((1, 0, 0)), "acme", None, 10)
    assert page.after is None
    (line,) = page.lines
    assert {name: value for name, value in line.items() if value is not None} == {
        "position": [0, 0, 0],
        "at": "1970-01-01T00:00:00Z",
        "posting": "issued",
        "grant": "g0-0",
        "amount": "0.000000005",
    }


def test_a_log_whose_first_records_are_gone() -> None:
    rows = [2] * 6
    log = frames(0, 3, rows) + frames(3, 6, rows)
    bounds, upto = (1, 2), spread((6, 0, 0))
    read = reading(log)
    oldest = all_pages(lambda start: oldest_first(read, bounds, upto, "acme", start, 2), 2)
    newest = all_pages(lambda start: newest_first(read, bounds, upto, "acme", start, 2), 2)
    assert oldest == newest[::-1] == [name for name in expected(rows, 6) if int(name[1]) >= 3]
