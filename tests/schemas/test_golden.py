"""What earlier releases wrote is read: samples of every version, never rewritten."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.frames import VERSION, Frame, FrameKind, decode_journal, decode_ledger, decode_rated
from tests.schemas.golden.make import FOLDER, path_of, samples

DECODE: dict[FrameKind, Callable[[bytes], Frame[Any]]] = {
    FrameKind.JOURNAL: decode_journal,
    FrameKind.RATED: decode_rated,
    FrameKind.LEDGER: decode_ledger,
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.frame")), ids=lambda path: path.stem)
def test_a_sample_is_read(path: Path) -> None:
    kind = FrameKind[path.stem.partition("-")[0].upper()]
    header, rows = next((header, rows) for each, header, rows in samples() if each == kind)
    frame = DECODE[kind](path.read_bytes())
    assert frame.header == header
    read = [{name: row[name] for name in rows[0]} for row in frame.rows.to_dicts()]
    assert read == rows


def test_there_is_a_sample_of_what_is_written_now() -> None:
    for kind in FrameKind:
        assert path_of(kind, VERSION).exists()
