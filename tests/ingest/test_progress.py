"""The confirmed prefix never passes an unconfirmed row; state of other bytes is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import progress as module
from ingest.progress import Prefix, SendProgress, load_progress, progress_path, save_progress
from schemas.errors import ConfigurationError

FRESH = SendProgress("digest", "mapping", 5, confirmed=0, sent=0, failed=0)


@given(st.data())
def test_the_prefix_ends_before_the_first_chunk_that_is_not_confirmed(data: st.DataObject) -> None:
    failed = data.draw(st.lists(st.booleans(), max_size=40))
    size = data.draw(st.integers(1, 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS_PER_CHUNK", size)
        prefix, open_rows = Prefix(), {}
        for number, bad in enumerate(failed, 1):
            chunk = prefix.current()
            chunk.row(number, failed=bad)
            if not bad:
                open_rows[number] = chunk
        prefix.end()
        at = FRESH
        for number in data.draw(st.permutations(sorted(open_rows))):
            at = prefix.advance(at)
            assert at.confirmed < min(open_rows)
            assert at.sent + at.failed == at.confirmed
            open_rows.pop(number).confirm()
        assert prefix.advance(at) == SendProgress(
            "digest", "mapping", 5, len(failed), failed.count(False), failed.count(True)
        )


def test_state_is_kept_beside_the_file(tmp_path: Path) -> None:
    path = progress_path(tmp_path / "rows.csv")
    assert path.name == "rows.csv.drawdown-progress"
    assert load_progress(path, "digest", "mapping") is None
    save_progress(path, FRESH)
    assert load_progress(path, "digest", "mapping") == FRESH


@pytest.mark.parametrize(
    ("digest", "mapping", "said"),
    [("other", "mapping", "another file content"), ("digest", "other", "another mapping")],
)
def test_state_of_something_else_is_refused(
    tmp_path: Path, digest: str, mapping: str, said: str
) -> None:
    path = tmp_path / "state"
    save_progress(path, FRESH)
    with pytest.raises(ConfigurationError, match=said):
        load_progress(path, digest, mapping)


def test_damaged_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"{")
    with pytest.raises(ConfigurationError, match="remove it"):
        load_progress(path, "digest", "mapping")
