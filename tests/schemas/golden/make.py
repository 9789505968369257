"""Writes the samples of what this release writes: run once a version, never over a file.

python -m tests.schemas.golden.make
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl

from schemas.frames import (
    JOURNAL_SCHEMA,
    LEDGER_SCHEMA,
    RATED_SCHEMA,
    VERSION,
    FrameKind,
    JournalHeader,
    OutputHeader,
    encode,
)

FOLDER: Final = Path(__file__).parent
SCHEMAS: Final = {
    FrameKind.JOURNAL: JOURNAL_SCHEMA,
    FrameKind.RATED: RATED_SCHEMA,
    FrameKind.LEDGER: LEDGER_SCHEMA,
}
_AT: Final = 1_772_323_200_000_000


def samples() -> Iterator[tuple[FrameKind, JournalHeader | OutputHeader, list[dict[str, Any]]]]:
    """One frame of each kind: its header, and what is not null in its rows."""
    usage = {"kind": 0, "offset": 7, "received_at": _AT, "account": "acme", "source": "api"}
    usage |= {"id": "e1", "type": "api.call", "time": _AT, "data": b'{"calls":1}'}
    header = JournalHeader((1, 2, 7), (1, 2, 9), [(2, 8, "duplicate")])
    yield FrameKind.JOURNAL, header, [usage]
    place = {"journal_offset": 3, "row": 0, "ordinal": 0, "at": _AT, "account": "acme"}
    place |= {"source": "api", "id": "e1", "time": _AT, "product": "calls", "rate_card": "s"}
    line = {**place, "kind": 0, "named": False, "version": 1, "period": _AT}
    yield FrameKind.RATED, OutputHeader((3, 0, 0), (3, 0, 1)), [line]
    posting = {**place, "posting": "drawn", "grant": "g1", "named": False, "version": 1}
    yield FrameKind.LEDGER, OutputHeader((3, 0, 0), (3, 0, 1)), [posting]


def path_of(kind: FrameKind, version: int) -> Path:
    """Where a sample is."""
    return FOLDER / f"{kind.name.lower()}-{version}.frame"


def main() -> None:
    """Write those that are not there."""
    for kind, header, rows in samples():
        path, schema = path_of(kind, VERSION), SCHEMAS[kind]
        if not path.exists():
            filled = [dict.fromkeys(schema) | row for row in rows]
            path.write_bytes(encode(kind, header, pl.DataFrame(filled, schema=schema)))


if __name__ == "__main__":
    main()
