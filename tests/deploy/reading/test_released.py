"""What releases left behind is read, proved, and folded on: one log of frames of several versions.

A release that folds otherwise on purpose fails here. What it folds otherwise is then named, as in
`OTHERWISE`, and its notes ask for `drawdown rebuild`.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from processors.rating.stage import RatingFold
from projections.balances.stage import BalancesFold
from projections.fold.outbox import Output
from projections.fold.snapshot import Snapshot
from projections.fold.stage import Fold, Record
from projections.rows import Changes, MemoryReader
from schemas.errors import ReleaseError
from schemas.frames import (
    JOURNAL_SCHEMA,
    VERSION,
    FrameKind,
    JournalHeader,
    RatedKind,
    decode_journal,
    decode_ledger,
    decode_rated,
    encode,
)
from schemas.topics import ALERTS, LEDGER, RATED, Topic
from tests.deploy.reading.pipeline import DAY, START, Logs, fold
from tests.deploy.reading.released import FOLDER, released
from tests.deploy.reading.test_prove import findings
from tests.rating import usage

RELEASES: Final = {int(path.stem[8]): path for path in sorted(FOLDER.glob("release-*.logs.gz"))}
OLD: Final = RELEASES[2]
OTHERWISE: Final = {2: {"b:acme|3|old|b1"}, 3: set[str]()}
"""Rows of rating that are folded otherwise since: their digests of content had a byte more."""


def versions(logs: Logs) -> set[int]:
    """Of the frames in all three logs."""
    return {value[3] for log in (logs.journal, logs.rated, logs.ledger) for _, value in log}


def without(rows: dict[str, bytes], keys: set[str]) -> dict[str, bytes]:
    """The rows of other keys, and that there were rows of these."""
    assert keys <= rows.keys()
    return {key: row for key, row in rows.items() if key not in keys}


def written_anew(logs: Logs, start: int) -> Logs:
    """The journal's records from `start` on as this release writes them."""

    def again(value: bytes) -> bytes:
        frame = decode_journal(value)
        return encode(FrameKind.JOURNAL, frame.header, frame.rows)

    logs.journal[start:] = [(offset, again(value)) for offset, value in logs.journal[start:]]
    return logs


def further(logs: Logs) -> Record:
    """One more journal frame: usage, and usage that was backfilled, as it was then."""
    at, vector = START + 42 * DAY, logs.acknowledged
    rows = [
        usage(at, "acme", {"tokens": 2, "model": "m"}, "llm.request", id="new"),
        usage(at, "acme", b'{"tokens":3}', "llm.request", source="old", id="b1"),
    ]
    placed = [{**row, "offset": vector[2] + number} for number, row in enumerate(rows)]
    header = JournalHeader(vector, (*vector[:2], vector[2] + len(rows)), [])
    frame = encode(FrameKind.JOURNAL, header, pl.DataFrame(placed, schema=JOURNAL_SCHEMA))
    return len(logs.journal), frame


def gone_on(
    make: type[RatingFold | BalancesFold], left: Snapshot, records: Sequence[Record]
) -> tuple[list[Output], dict[str, bytes]]:
    """Outputs and rows of a fold that goes on from the rows that were left."""
    memory = MemoryReader()
    memory.commit(Changes(dict(left.rows), {key: (None, instant) for instant, key in left.due}))
    stage: Fold = make(0, left.position, memory)
    outputs = stage.apply(records)
    memory.commit(stage.take_changes())
    return outputs, memory.rows


def sent(outputs: Sequence[Output], topic: Topic) -> list[bytes]:
    """What went to one topic."""
    return [output.value for output in outputs if output.topic is topic]


def test_there_is_a_release_of_each_version_that_is_read() -> None:
    found = {version: versions(released(path)) for version, path in RELEASES.items()}
    assert found == {version: {version} for version in range(2, VERSION + 1)}


@pytest.mark.parametrize("version", RELEASES)
def test_reconcile_proves_what_a_release_left_behind(version: int) -> None:
    """Its logs against its own rows, and against what this release folds of them."""
    found = findings(released(RELEASES[version]))
    differing = {code: each.differences for code, each in found.items() if not each.holds}
    assert [*differing] == (["I4"] if OTHERWISE[version] else [])
    assert len(differing.get("I4", [])) == len(OTHERWISE[version])
    for key in OTHERWISE[version]:
        assert any(key in said for said in differing["I4"]), differing
    assert found["I1"].figures["accepted"] > 100


@pytest.mark.parametrize("start", [0, 1, 3, 5, 1_000])
def test_a_log_of_old_frames_then_new_ones_folds_to_the_same(start: int) -> None:
    """From its first record, as a rebuild does: all new, mixed or all old."""
    old, logs = released(OLD), fold(written_anew(released(OLD), start))
    assert {value[3] for _, value in logs.journal} == (
        {VERSION} if start == 0 else {2} if start > len(old.journal) else {2, VERSION}
    )
    assert without(logs.rating.rows, OTHERWISE[2]) == without(old.rating.rows, OTHERWISE[2])
    assert logs.balances.rows == old.balances.rows
    assert sorted(logs.balances.due) == sorted(old.balances.due)
    assert logs.alerts == old.alerts
    mine, theirs = logs.evidence(), old.evidence()
    assert_frame_equal(mine.journal.rows, theirs.journal.rows)
    assert_frame_equal(mine.rated.rows, theirs.rated.rows)
    assert_frame_equal(mine.ledger.rows, theirs.ledger.rows)


@pytest.mark.parametrize("version", RELEASES)
def test_going_on_from_old_rows_gives_what_folding_all_again_gives(version: int) -> None:
    logs = released(RELEASES[version])
    alerts = len(logs.alerts)
    record = further(logs)
    outputs, rating = gone_on(RatingFold, logs.rating, [record])
    (frame,) = sent(outputs, RATED)
    outcomes = decode_rated(frame).rows.rows_by_key("id", named=True, unique=True)
    assert outcomes["new"]["kind"] == RatedKind.LINE
    assert outcomes["b1"]["reason"] == "duplicate"  # a digest of another length is no conflict
    outputs, balances = gone_on(BalancesFold, logs.balances, [(len(logs.rated), frame)])

    logs.journal.append(record)
    again = fold(logs)
    assert without(rating, OTHERWISE[version]) == without(again.rating.rows, OTHERWISE[version])
    assert balances == again.balances.rows
    assert sent(outputs, ALERTS) == again.alerts[alerts:]
    (ledger,) = (decode_ledger(value).rows for value in sent(outputs, LEDGER))
    assert ledger.height
    assert_frame_equal(ledger, again.evidence().ledger.rows[-ledger.height :])


def test_a_newer_frame_after_others_stops_the_fold_and_reconcile() -> None:
    """Nothing is skipped, nothing is called different: another release is asked for."""
    logs = released(OLD)
    offset, value = further(logs)
    logs.journal.append((offset, value[:3] + bytes((VERSION + 1,)) + value[4:]))
    with pytest.raises(ReleaseError, match="newer release"):
        gone_on(RatingFold, logs.rating, logs.journal[-1:])
    with pytest.raises(ReleaseError, match="newer release"):
        logs.evidence()
