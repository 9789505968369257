"""Journal frames out of examined records: accepted ones as rows, refused ones by offset. Pure.

Each frame carries the source vector before and after it; a frame's `after` is its predecessor's
`upto`, and a stretch with nothing accepted is written too, so a reader can tell a refusal from a
gap (architecture.md section 3, rule 2). Frames are cut by records and bytes; no cut changes a
result (I5).
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import polars as pl

from processors.admission.envelope import Usage
from processors.admission.examine import Document, Outcome, Tick
from processors.admission.record import RawRecord
from schemas.frames import (
    JOURNAL_SCHEMA,
    FrameKind,
    JournalHeader,
    JournalKind,
    Source,
    Vector,
    encode,
)
from schemas.reasons import Refusal

MOST_RECORDS: Final = 8_192
MOST_BYTES: Final = 2_000_000
"""A frame is cut before the record that would pass either; one record may be larger alone."""

_Text = str | None
_Row = tuple[int, int, int, _Text, _Text, _Text, _Text, int | None, _Text, bytes | None]
_DOCUMENT_KIND: Final = {
    Source.CREDITS: int(JournalKind.CREDITS),
    Source.CATALOG: int(JournalKind.CATALOG),
}


class Entry(msgspec.Struct, gc=False):
    """One examined record in its place."""

    source: Source
    record: RawRecord
    outcome: Outcome


class JournalFrame(NamedTuple):
    """Entries `start` to `stop` as one frame; `clock` is the usage clock behind it."""

    value: bytes
    upto: Vector
    clock: int
    start: int
    stop: int
    accepted: int


def frames(after: Vector, clock: int, entries: Sequence[Entry]) -> Iterator[JournalFrame]:
    """The frames of `entries`, which follow the vector `after` in merged order."""
    for start, stop in _cuts(entries):
        vector = list(after)
        rows: list[_Row] = []
        refused: list[tuple[int, int, str]] = []
        for entry in entries[start:stop]:
            source, record, outcome = entry.source, entry.record, entry.outcome
            offset, received_at = record.offset, record.received_at
            vector[source] = offset + 1
            if source == Source.USAGE and received_at > clock:
                clock = received_at
            if type(outcome) is Refusal:
                refused.append((int(source), offset, str(outcome.reason)))
            else:
                rows.append(_row(source, offset, received_at, outcome))
        upto = (vector[0], vector[1], vector[2])
        value = encode(FrameKind.JOURNAL, JournalHeader(after, upto, refused), _table(rows))
        yield JournalFrame(value, upto, clock, start, stop, len(rows))
        after = upto


def _cuts(entries: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    start = size = 0
    for index, entry in enumerate(entries):
        outcome = entry.outcome
        weight = 64
        if type(outcome) is Usage or type(outcome) is Document:
            weight += len(outcome.data or b"")
        if index > start and (index - start == MOST_RECORDS or size + weight > MOST_BYTES):
            yield start, index
            start, size = index, 0
        size += weight
    if start < len(entries):
        yield start, len(entries)


def _row(source: Source, offset: int, received_at: int, outcome: Outcome) -> _Row:
    if type(outcome) is Usage:
        return (
            0,  # JournalKind.USAGE
            offset,
            received_at,
            outcome.account,
            outcome.source,
            outcome.id,
            outcome.type,
            outcome.time,
            outcome.contract,
            outcome.data,
        )
    if type(outcome) is Tick:
        return int(JournalKind.TICK), offset, received_at, *(None,) * 7
    assert type(outcome) is Document, outcome
    kind = _DOCUMENT_KIND[source]
    return kind, offset, received_at, outcome.account, *(None,) * 5, outcome.data


def _table(rows: list[_Row]) -> pl.DataFrame:
    columns = zip(*rows, strict=True) if rows else ((),) * len(JOURNAL_SCHEMA)
    return pl.DataFrame(
        [
            pl.Series(name, list(column), dtype=kind, strict=True)
            for (name, kind), column in zip(JOURNAL_SCHEMA.items(), columns, strict=True)
        ]
    )
