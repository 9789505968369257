"""Where a fold stands, and the readers that keep it there (architecture.md section 3, rule 2).

Pure. Every record says which span of positions it covers (`after`, `upto`), and every reader keeps
the position that it has reached. A reader skips what it has seen, by position and not by content,
so repeats, other cuts and zombies' frames change nothing: the first occurrence in the log wins. A
record whose `after` the reader has not reached lies behind a gap and is ignored; a gap that stands
ends the worker (`GapWatch`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import msgspec
import polars as pl

from schemas.errors import GapError, LogReplacedError, newer
from schemas.frames import (
    Frame,
    JournalHeader,
    JournalKind,
    OutputHeader,
    Vector,
    decode_journal,
)
from schemas.tables import filtered

ZERO: Final[Vector] = (0, 0, 0)
GAP_PATIENCE_SECONDS: Final = 20


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fold's committed position: a pure function of the input log and of `offset`."""

    offset: int = 0
    """The next record of the input topic."""
    digest: str = ""
    """Of the bytes of the last record read: another digest there means another log."""
    topic_id: str = ""
    """The broker's id of the input topic: a recreated topic has another."""
    vector: Vector = ZERO
    """Rating: the source vector (catalog, credits, usage) that the journal has covered."""
    reached: Vector = ZERO
    """The journal position (offset, row, ordinal) up to which outputs are written."""
    clock: int = 0
    """Journal time J, microseconds."""

    def encode(self) -> str:
        """The canonical text: the store compares it byte by byte."""
        return msgspec.json.encode(self).decode()


def decode_position(text: str) -> Position:
    """The inverse of `Position.encode`. Raises ReleaseError for one with more in it."""
    try:
        return msgspec.json.decode(text, type=Position)
    except msgspec.ValidationError as error:
        raise newer(f"a position that this release does not know ({error})") from error


def record_digest(value: bytes) -> str:
    """What a position remembers of the last record read."""
    return blake2b(value, digest_size=16).hexdigest()


def check_log(
    position: Position, topic_id: str, low: int, high: int, last_value: bytes | None
) -> None:
    """Is the log the one that `position` was read from? On assignment, before any record is read.

    `low` and `high` are the partition's bounds, `last_value` the record at `position.offset - 1`
    where the log still holds it. Raises LogReplacedError, with what to do, when it is not: a log
    that was truncated, recreated or cut off is never read on as if nothing had happened.
    """
    if position.topic_id not in ("", topic_id):
        message = f"the topic was recreated: its id is {topic_id}, not {position.topic_id}"
        raise LogReplacedError(message)
    if not low <= position.offset <= high:
        message = f"position {position.offset} lies outside the log, which holds {low} to {high}"
        raise LogReplacedError(message)
    if position.digest and last_value is not None and record_digest(last_value) != position.digest:
        message = f"the record at {position.offset - 1} is not the one that was read there"
        raise LogReplacedError(message)


@dataclass(slots=True)
class GapWatch:
    """Whether a gap stands: `seen` when a record was ignored, `closed` when it was covered."""

    needed: Vector | None = None
    since: float = 0.0

    def ignore(self, after: Vector, now: float) -> None:
        """A record was ignored because the reader has not reached `after`."""
        if self.needed is None:
            self.needed, self.since = after, now

    def check(self, reached: Vector, now: float, *, vector: bool) -> None:
        """Raises GapError once a gap has stood for longer than `GAP_PATIENCE_SECONDS`."""
        if self.needed is None:
            return
        covered = _covers(reached, self.needed) if vector else reached >= self.needed
        if covered:
            self.needed = None
        elif now - self.since > GAP_PATIENCE_SECONDS:
            message = f"a gap in the log stands: have reached {reached}, records need {self.needed}"
            raise GapError(message)


def _covers(reached: Vector, after: Vector) -> bool:
    return all(have >= need for have, need in zip(reached, after, strict=True))


@dataclass(slots=True)
class JournalReader:
    """Reads journal frames by source vector; gives the new rows, each with its place."""

    vector: Vector = ZERO
    refused: list[tuple[int, int, str]] = field(default_factory=list)
    gap: Vector | None = None

    def feed(self, offset: int, value: bytes) -> pl.DataFrame | None:
        """The new rows of the record at `offset`, with `journal_offset` and `row`; None for none.

        Raises FrameError for bytes that are no journal frame.
        """
        frame = decode_journal(value)
        header: JournalHeader = frame.header
        if not _covers(self.vector, header.after):
            self.gap = header.after
            return None
        before = self.vector
        self.vector = _maximum(before, header.upto)
        self.refused = [r for r in header.refused if r[1] >= before[r[0]]]
        rows = frame.rows.with_columns_seq(
            pl.lit(offset, pl.Int64).alias("journal_offset"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
        )
        if before != header.after:
            rows = filtered(rows, _unseen(before))
        return rows if rows.height else None


def _unseen(vector: Vector) -> pl.Expr:
    """A row's source follows from its kind (JournalKind): usage and ticks, credits, catalog."""
    catalog, credits_, usage = vector
    floor = (
        pl.when(pl.col("kind") == int(JournalKind.CATALOG))
        .then(catalog)
        .when(pl.col("kind") == int(JournalKind.CREDITS))
        .then(credits_)
        .otherwise(usage)
    )
    return pl.col("offset") >= floor


def _maximum(left: Sequence[int], right: Sequence[int]) -> Vector:
    return (max(left[0], right[0]), max(left[1], right[1]), max(left[2], right[2]))


@dataclass(slots=True)
class OutputReader:
    """Reads rated or ledger frames by journal position; gives the rows not seen before."""

    decode: Callable[[bytes], Frame[OutputHeader]]
    reached: Vector = ZERO
    gap: Vector | None = None

    def feed(self, value: bytes) -> pl.DataFrame | None:
        """The new rows of one frame; None for none. Raises FrameError."""
        frame = self.decode(value)
        header = frame.header
        if header.after > self.reached:
            self.gap = header.after
            return None
        before = self.reached
        self.reached = max(before, header.upto)
        rows = frame.rows
        if before != header.after:
            at_offset, at_row = pl.col("journal_offset"), pl.col("row")
            offset, row, ordinal = before
            later_row = (at_row > row) | ((at_row == row) & (pl.col("ordinal") >= ordinal))
            rows = filtered(rows, (at_offset > offset) | ((at_offset == offset) & later_row))
        return rows if rows.height else None
