"""What earlier releases wrote is read: samples of every version, never rewritten."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.errors import FrameError, ReleaseError
from schemas.frames import (
    VERSION,
    Frame,
    FrameKind,
    decode_journal,
    decode_ledger,
    decode_rated,
    ledger_ids,
)
from tests.schemas.golden.make import FOLDER, SCHEMAS, path_of, samples

DECODE: dict[FrameKind, Callable[[bytes], Frame[Any]]] = {
    FrameKind.JOURNAL: decode_journal,
    FrameKind.RATED: decode_rated,
    FrameKind.LEDGER: decode_ledger,
}
OLDEST = 2


def changed(sample: bytes, change: Callable[[pl.DataFrame], pl.DataFrame]) -> bytes:
    """The frame with other rows."""
    start = 9 + int.from_bytes(sample[5:9], "big")
    body = BytesIO()
    change(pl.read_ipc_stream(BytesIO(sample[start:]))).write_ipc_stream(body)
    return sample[:start] + body.getvalue()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.frame")), ids=lambda path: path.stem)
def test_a_sample_is_read(path: Path) -> None:
    kind = FrameKind[path.stem.partition("-")[0].upper()]
    header, rows = next((header, rows) for each, header, rows in samples() if each == kind)
    frame = DECODE[kind](path.read_bytes())
    assert frame.header == header
    assert frame.rows.schema == SCHEMAS[kind]
    assert frame.rows.to_dicts() == [dict.fromkeys(SCHEMAS[kind]) | row for row in rows]


@pytest.mark.parametrize("kind", FrameKind)
@pytest.mark.parametrize("version", range(OLDEST, VERSION + 1))
def test_there_is_a_sample_of_every_version_that_is_read(kind: FrameKind, version: int) -> None:
    sample = path_of(kind, version).read_bytes()
    assert sample[3] == version


@pytest.mark.parametrize("kind", FrameKind)
def test_a_frame_of_a_newer_release_says_what_to_do(kind: FrameKind) -> None:
    """Whatever the bytes are: what follows the version is for those who know it."""
    newer = b"DDF" + bytes((VERSION + 1, kind)) + b"\0\0\0\1?"
    with pytest.raises(ReleaseError, match=r"version 4.* reads 2 to 3: .*newer.* run that release"):
        DECODE[kind](newer)


@pytest.mark.parametrize("kind", FrameKind)
def test_a_frame_older_than_any_that_is_read_is_refused(kind: FrameKind) -> None:
    sample = path_of(kind, OLDEST).read_bytes()
    with pytest.raises(ReleaseError, match="version 1, this release reads 2 to 3: only a release"):
        DECODE[kind](sample[:3] + b"\1" + sample[4:])


@pytest.mark.parametrize("version", range(OLDEST, VERSION + 1))
@pytest.mark.parametrize("kind", FrameKind)
def test_a_column_that_is_not_there_is_null_and_one_that_is_not_known_is_refused(
    kind: FrameKind, version: int
) -> None:
    sample = path_of(kind, version).read_bytes()
    fewer = DECODE[kind](changed(sample, lambda rows: rows.drop("source"))).rows
    whole = DECODE[kind](path_of(kind, version).read_bytes()).rows
    assert whole["source"].null_count() == 0
    assert fewer.equals(whole.with_columns(source=pl.lit(None, pl.String)))
    with pytest.raises(ReleaseError, match="a frame with columns flavour: written by a newer"):
        DECODE[kind](changed(sample, lambda rows: rows.with_columns(flavour=1)))
    with pytest.raises(FrameError, match="other columns"):
        DECODE[kind](changed(sample, lambda rows: rows.with_columns(account=1)))


@pytest.mark.parametrize("version", range(OLDEST, VERSION + 1))
def test_the_ids_of_a_ledger_frame_are_those_of_its_rows(version: int) -> None:
    sample = path_of(FrameKind.LEDGER, version).read_bytes()
    frame = decode_ledger(sample)
    header, ids = ledger_ids(sample)
    assert (header, ids) == (frame.header, frame.rows["id"].to_list())
    assert any(ids)
    assert ledger_ids(changed(sample, pl.DataFrame.clear)) == (header, [])
    assert ledger_ids(changed(sample, lambda rows: rows.drop("id"))) == (header, [])
    with pytest.raises(FrameError, match="ids of another type"):
        ledger_ids(changed(sample, lambda rows: rows.with_columns(id=1)))
    with pytest.raises(FrameError, match="damaged"):
        ledger_ids(sample[: len(sample) // 2])


def test_only_a_ledger_frame_of_a_known_version_has_ids() -> None:
    with pytest.raises(FrameError, match="expected 3"):
        ledger_ids(path_of(FrameKind.RATED, VERSION).read_bytes())
    with pytest.raises(ReleaseError, match="newer"):
        ledger_ids(b"DDF" + bytes((VERSION + 1, FrameKind.LEDGER)) + b"\0\0\0\1?")
    with pytest.raises(FrameError, match="damaged"):
        ledger_ids(b"DDF" + bytes((VERSION, FrameKind.LEDGER)) + b"\0\0\0\1?")
    with pytest.raises(FrameError, match="not a frame"):
        ledger_ids(b"{}")
