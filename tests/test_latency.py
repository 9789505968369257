"""The latency probe's arithmetic: what it counts, and when."""

import time
from collections.abc import Sequence

import polars as pl
import pytest

from projections.balances.postings import CONSUMED, ISSUED, ORDINAL_BITS, OVERAGE
from schemas.frames import LEDGER_SCHEMA, FrameKind, OutputHeader, Vector, encode
from tests.latency import Histogram, _Partition, event_id, merged

Row = tuple[int, int, int, str, str | None, str | None]
AT = 1_767_225_600_000_000


def frame(after: Vector, upto: Vector, rows: Sequence[Row]) -> bytes:
    """A ledger frame of (journal offset, row, ordinal, posting, source, id)."""
    made = pl.DataFrame(
        [dict.fromkeys(LEDGER_SCHEMA) for _ in rows], schema=LEDGER_SCHEMA
    ).with_columns(
        pl.Series(name, [row[at] for row in rows], dtype=LEDGER_SCHEMA[name])
        for at, name in enumerate(("journal_offset", "row", "ordinal", "posting", "source", "id"))
    )
    return encode(FrameKind.LEDGER, OutputHeader(after, upto), made)


def spread(offset: int, row: int, ordinal: int) -> Vector:
    return (offset, row, ordinal << ORDINAL_BITS)


def test_an_event_counts_when_the_position_covers_its_frame() -> None:
    """Not when its posting is written: a crash before the commit would take it back."""
    partition = _Partition()
    row = (0, 0, 0, CONSUMED, "soak", event_id(AT, 7))
    partition.read(frame((0, 0, 0), spread(0, 1, 0), [row]), "soak")
    assert list(partition.settle(spread(0, 0, 0), AT + 5_000)) == []
    assert list(partition.settle(spread(0, 1, 0), AT + 9_000)) == [(AT // 1_000_000, 9, 1)]
    assert list(partition.settle(spread(0, 1, 0), AT + 9_000)) == []


def test_an_event_counts_once_whatever_it_is_paid_from() -> None:
    """Two grants, two frames, and the frame that a crash made the worker write again."""
    partition = _Partition()
    first = [
        (0, 0, 0, CONSUMED, "soak", event_id(AT, 0)),
        (0, 0, 1, OVERAGE, "soak", event_id(AT, 0)),
    ]
    again = (0, 0, 2, CONSUMED, "soak", event_id(AT, 0))
    partition.read(frame((0, 0, 0), (0, 0, 2), first), "soak")
    partition.read(frame((0, 0, 0), (0, 0, 2), first), "soak")
    partition.read(frame((0, 0, 2), spread(0, 1, 0), [again]), "soak")
    assert [count for *_, count in partition.settle(spread(0, 1, 0), AT)] == [1]


def test_only_the_lines_of_the_source_count() -> None:
    """A grant's posting has no event, and other traffic no instant in its ids."""
    partition = _Partition()
    rows = [(0, 0, 0, ISSUED, None, None), (0, 1, 0, CONSUMED, "other", "e1")]
    partition.read(frame((0, 0, 0), spread(0, 2, 0), rows), "soak")
    assert list(partition.settle(spread(0, 2, 0), AT)) == []


@pytest.mark.parametrize(("per_mille", "expected"), [(500, 50), (990, 99), (999, 100), (1000, 100)])
def test_a_percentile_is_the_nearest_rank(per_mille: int, expected: int) -> None:
    histogram = Histogram(range(1, 101))
    assert histogram.percentile(per_mille) == expected


def test_histograms_merge() -> None:
    both = merged([Histogram([1, 2]), Histogram([2, 900])])
    assert (both.count, both.longest, both.percentile(500)) == (4, 900, 2)
    assert (Histogram().percentile(990), Histogram().longest) == (0, 0)


def test_ids_sort_as_their_instants_do() -> None:
    """Sixteen digits last until the year 2286."""
    assert event_id(AT, 10) < event_id(AT + 1, 9)
    assert len(str(time.time_ns() // 1_000)) == 16
