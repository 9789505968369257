"""Rule 2: every record carries its position, and every reader keeps one. Pure."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from projections.fold import cut, position
from projections.fold.position import GAP_PATIENCE_SECONDS, ZERO, Position, record_digest
from schemas.errors import GapError, LogReplacedError
from schemas.frames import (
    JOURNAL_SCHEMA,
    RATED_SCHEMA,
    FrameKind,
    JournalHeader,
    JournalKind,
    Source,
    Vector,
    decode_rated,
    encode,
)
from tests.protocol.mutation import CLAUSE, mutant

Row = tuple[JournalKind, int]
USAGE, CREDITS, CATALOG = JournalKind.USAGE, JournalKind.CREDITS, JournalKind.CATALOG

JOURNAL_GAP = "if not _covers(self.vector, header.after):"
JOURNAL_UNSEEN = "rows = filtered(rows, _unseen(before))"
OUTPUT_GAP = "if header.after > self.reached:"
OUTPUT_UNSEEN = "rows = filtered(rows, (at_offset > offset) | ((at_offset == offset) & later_row))"
ORDINAL = 'later_row = (at_row > row) | ((at_row == row) & (pl.col("ordinal") >= ordinal))'
GAP_STANDS = "elif now - self.since > GAP_PATIENCE_SECONDS:"


def journal(
    after: Vector, upto: Vector, *rows: Row, refused: Sequence[tuple[int, int, str]] = ()
) -> bytes:
    """A frame of rows (kind, offset in their source)."""
    held = pl.DataFrame(
        [{"kind": int(kind), "offset": offset} for kind, offset in rows], schema=JOURNAL_SCHEMA
    )
    return encode(FrameKind.JOURNAL, JournalHeader(after, upto, list(refused)), held)


def read_journal(module: ModuleType, frames: Sequence[bytes]) -> tuple[list[Row], Any]:
    """The rows that a reader gives in all, and the reader."""
    reader = module.JournalReader()
    parts = [reader.feed(offset, value) for offset, value in enumerate(frames)]
    read = [
        (JournalKind(kind), offset)
        for part in parts
        if part is not None
        for kind, offset in part.select("kind", "offset").rows()
    ]
    return read, reader


def usage(start: int, stop: int) -> list[Row]:
    return [(USAGE, offset) for offset in range(start, stop)]


def without(clause: bool, line: str, by: str) -> ModuleType:
    return position if clause else mutant(position, line, by)


@CLAUSE
def test_a_record_behind_a_gap_is_ignored_until_the_gap_is_filled(*, clause: bool) -> None:
    """Frames 0 to 2 and 4 to 6 came, 2 to 4 is missing: reading on would lose it for good."""
    module = without(clause, JOURNAL_GAP, "if False:")
    first = journal(ZERO, (0, 0, 2), *usage(0, 2))
    missing = journal((0, 0, 2), (0, 0, 4), *usage(2, 4))
    beyond = journal((0, 0, 4), (0, 0, 6), *usage(4, 6))

    read, reader = read_journal(module, [first, beyond, missing, beyond])
    if clause:
        assert usage(0, 6) == read
        assert reader.gap == (0, 0, 4)
    else:
        assert [*usage(0, 2), *usage(4, 6)] == read
        assert reader.gap is None


@CLAUSE
def test_a_gap_is_seen_in_every_source_of_the_vector(*, clause: bool) -> None:
    """A missing document is a gap, though usage goes on: vectors do not compare as tuples."""
    module = without(clause, JOURNAL_GAP, "if self.vector < header.after:")
    frames = [
        journal(ZERO, (1, 0, 2), (CATALOG, 0), *usage(0, 2)),
        journal((0, 1, 2), (0, 1, 3), (USAGE, 2)),
    ]
    read, _ = read_journal(module, frames)
    assert clause == ((USAGE, 2) not in read)


@CLAUSE
def test_a_repeat_with_another_cut_gives_each_row_once(*, clause: bool) -> None:
    module = without(clause, JOURNAL_UNSEEN, "pass")
    frames = [
        journal(ZERO, (1, 0, 3), (CATALOG, 0), *usage(0, 3)),
        journal((1, 0, 3), (1, 1, 4), (CREDITS, 0), (USAGE, 3)),
        journal((1, 0, 1), (1, 1, 6), (USAGE, 1), (USAGE, 2), (CREDITS, 0), *usage(3, 6)),
    ]
    once = [(CATALOG, 0), *usage(0, 3), (CREDITS, 0), (USAGE, 3), *usage(4, 6)]
    again = [(USAGE, 1), (USAGE, 2), (CREDITS, 0), (USAGE, 3)]

    read, _ = read_journal(module, frames)
    if clause:
        assert once == read
    else:
        assert sorted([*once, *again]) == sorted(read)


@CLAUSE
def test_a_zombies_frames_are_skipped(*, clause: bool) -> None:
    """Its successor has written 2 to 5; then what the zombie had under way arrives."""
    module = without(clause, JOURNAL_UNSEEN, "pass")
    first = journal(ZERO, (0, 0, 2), *usage(0, 2))
    successor = journal((0, 0, 2), (0, 0, 5), *usage(2, 5))
    zombie = journal((0, 0, 2), (0, 0, 4), *usage(2, 4))
    after = journal((0, 0, 5), (0, 0, 6), *usage(5, 6))

    read, _ = read_journal(module, [first, successor, zombie, after])
    if clause:
        assert usage(0, 6) == read
    else:
        assert [*usage(0, 5), *usage(2, 4), (USAGE, 5)] == read


def test_a_frame_of_refused_records_alone_moves_the_reader_on() -> None:
    """A batch with nothing accepted still writes its frame: it says so with its reasons."""
    refused = [(int(Source.USAGE), 0, "duplicate"), (int(Source.USAGE), 1, "not_utf8")]
    frames = [journal(ZERO, (0, 0, 2), refused=refused), journal((0, 0, 2), (0, 0, 3), (USAGE, 2))]
    read, reader = read_journal(position, frames)
    assert read == [(USAGE, 2)]
    assert reader.vector == (0, 0, 3)


def test_without_the_frame_of_a_refused_batch_the_reader_stands_before_a_gap() -> None:
    read, reader = read_journal(position, [journal((0, 0, 2), (0, 0, 3), (USAGE, 2))])
    assert read == []
    assert reader.gap == (0, 0, 2)


def test_refusals_of_a_repeat_are_told_once() -> None:
    """I1: each refused record has one outcome, however its frame is cut when it is repeated."""
    reader = position.JournalReader()
    told = []
    for after, upto in (((0, 0, 0), (0, 0, 2)), ((0, 0, 1), (0, 0, 3))):
        offsets = range(after[2], upto[2])
        value = journal(after, upto, refused=[(int(Source.USAGE), n, "duplicate") for n in offsets])
        reader.feed(0, value)
        told += [offset for _, offset, _ in reader.refused]
    assert told == [0, 1, 2]


@CLAUSE
def test_a_gap_that_stands_ends_the_worker(*, clause: bool) -> None:
    """The log's tail was lost: its writer goes on beyond what any reader has."""
    module = without(clause, GAP_STANDS, "elif False:")
    watch = module.GapWatch()
    watch.ignore((0, 0, 7), now=100.0)
    watch.check((0, 0, 5), 100.0 + GAP_PATIENCE_SECONDS, vector=True)
    late = 101.0 + GAP_PATIENCE_SECONDS
    if clause:
        with pytest.raises(GapError, match="7"):
            watch.check((0, 0, 5), late, vector=True)
    else:
        watch.check((0, 0, 5), late, vector=True)


def test_a_gap_that_closes_is_forgotten() -> None:
    watch = position.GapWatch()
    watch.ignore((0, 0, 7), now=0.0)
    watch.check((0, 0, 7), 1_000.0, vector=True)
    watch.check((0, 0, 7), 2_000.0, vector=True)


def rated(places: Sequence[Vector]) -> pl.DataFrame:
    names = ("journal_offset", "row", "ordinal")
    held = [dict(zip(names, place, strict=True)) for place in places]
    return pl.DataFrame(held, schema=RATED_SCHEMA)


def rated_frames(places: Sequence[Vector], after: Vector, upto: Vector) -> list[bytes]:
    return cut.cut_frames(FrameKind.RATED, rated(places), after, upto)


def read_rated(module: ModuleType, frames: Sequence[bytes]) -> tuple[list[Any], Any]:
    """The places of the rows that a reader gives in all, and the reader."""
    reader = module.OutputReader(decode_rated)
    parts = [reader.feed(value) for value in frames]
    names = ("journal_offset", "row", "ordinal")
    return [row for part in parts if part is not None for row in part.select(names).rows()], reader


PLACES: list[Vector] = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 0, 2), (2, 3, 0)]


@CLAUSE
def test_an_output_behind_a_gap_is_ignored(*, clause: bool) -> None:
    module = without(clause, OUTPUT_GAP, "if False:")
    first = rated_frames(PLACES[:3], ZERO, (1, 0, 0))
    missing = rated_frames(PLACES[3:6], (1, 0, 0), (2, 0, 0))
    beyond = rated_frames(PLACES[6:], (2, 0, 0), (3, 0, 0))
    read, reader = read_rated(module, [*first, *beyond, *missing, *beyond])
    if clause:
        assert read == PLACES
        assert reader.gap == (2, 0, 0)
    else:
        assert PLACES[:3] + PLACES[6:] == read
        assert reader.gap is None


@CLAUSE
@pytest.mark.parametrize("edge", range(1, len(PLACES)))
def test_outputs_repeated_with_another_cut_are_read_once(edge: int, *, clause: bool) -> None:
    """Whatever was written up to `edge` before the kill, the successor writes all of it again."""
    module = without(clause, OUTPUT_UNSEEN, "pass")
    before_the_kill = rated_frames(PLACES[:edge], ZERO, PLACES[edge])
    successor = rated_frames(PLACES, ZERO, (3, 0, 0))
    read, _ = read_rated(module, [*before_the_kill, *successor])
    assert (PLACES if clause else PLACES[:edge] + PLACES) == read


@CLAUSE
def test_each_output_of_one_record_has_its_own_ordinal(*, clause: bool) -> None:
    """A frame may end between two lines of one event: the second is new to the reader."""
    module = without(clause, ORDINAL, "later_row = at_row > row")
    first = rated_frames(PLACES[:4], ZERO, PLACES[4])
    again = rated_frames(PLACES, ZERO, (3, 0, 0))
    read, _ = read_rated(module, [*first, *again])
    assert (PLACES if clause else [*PLACES[:4], PLACES[6]]) == read


def test_an_empty_output_frame_moves_the_reader_on() -> None:
    frames = [*rated_frames([], ZERO, (1, 0, 0)), *rated_frames(PLACES[3:4], (1, 0, 0), (2, 0, 0))]
    assert len(frames) == 2
    read, reader = read_rated(position, frames)
    assert read == [(1, 0, 0)]
    assert reader.reached == (2, 0, 0)


READ = Position(5, record_digest(b"fifth"), "id-1")


def checked(module: ModuleType, **changes: Any) -> Callable[[], None]:
    found = {"topic_id": "id-1", "low": 0, "high": 9, "last_value": b"fifth", **changes}
    return lambda: module.check_log(READ, **found)


@CLAUSE
@pytest.mark.parametrize(
    ("line", "by", "found"),
    [
        ('if position.topic_id not in ("", topic_id):', "if False:", {"topic_id": "id-2"}),
        ("if not low <= position.offset <= high:", "if False:", {"high": 4, "last_value": None}),
        ("if not low <= position.offset <= high:", "if False:", {"low": 6, "last_value": None}),
        ("and record_digest(last_value) != position.digest:", "and False:", {"last_value": b"5th"}),
    ],
    ids=["recreated", "tail lost", "head deleted", "another record"],
)
def test_another_log_is_not_read_on(
    line: str, by: str, found: dict[str, Any], *, clause: bool
) -> None:
    check = checked(without(clause, line, by), **found)
    if clause:
        with pytest.raises(LogReplacedError):
            check()
    else:
        check()


def test_the_same_log_is_read_on() -> None:
    checked(position)()
    checked(position, high=5)()
    checked(position, low=5, last_value=None)()
