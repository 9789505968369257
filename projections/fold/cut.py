"""Cutting a stage's output into frames that a broker takes.

Where it is cut changes no result (I5): the frames' spans join without a gap, each `upto` being the
position of the first row of the next frame.
"""

from typing import Final

import polars as pl

from schemas.frames import FrameKind, OutputHeader, Vector, encode

ROWS_PER_FRAME: Final = 16_384
DATA_BYTES_PER_FRAME: Final = 3_000_000


def cut_frames(kind: FrameKind, rows: pl.DataFrame, after: Vector, upto: Vector) -> list[bytes]:
    """Frames that cover `after` to `upto`; one, though empty, where there are no rows."""
    starts = _starts(rows)
    frames = []
    for start, end in zip(starts, [*starts[1:], rows.height], strict=True):
        until = upto if end == rows.height else _position(rows, end)
        frames.append(encode(kind, OutputHeader(after, until), rows.slice(start, end - start)))
        after = until
    return frames


def _starts(rows: pl.DataFrame) -> list[int]:
    if "data" not in rows.columns or rows.get_column("data").null_count() == rows.height:
        return list(range(0, max(rows.height, 1), ROWS_PER_FRAME))
    starts, held = [0], 0
    for index, size in enumerate(rows.get_column("data").bin.size().fill_null(0)):
        if index - starts[-1] >= ROWS_PER_FRAME or held + size > DATA_BYTES_PER_FRAME:
            if index > starts[-1]:
                starts.append(index)
            held = 0
        held += size
    return starts


def _position(rows: pl.DataFrame, index: int) -> Vector:
    offset, row, ordinal = rows.select_seq("journal_offset", "row", "ordinal").row(index)
    return (offset, row, ordinal)
