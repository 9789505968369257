"""Files that are replaced as a whole, by one at a time."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from projections.files import locked
from schemas.errors import ConfigurationError

ROOT: Final = Path(__file__).parents[2]
COUNT: Final = """
import sys
from pathlib import Path
from projections.files import locked, replace_file

path = Path(sys.argv[1])
for _ in range(100):
    with locked(path):
        replace_file(path, b"%d" % (int(path.read_bytes()) + 1))
"""


def test_changes_of_several_processes_are_made_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "count"
    path.write_text("0")
    running = [
        subprocess.Popen([sys.executable, "-c", COUNT, str(path)], cwd=ROOT) for _ in range(3)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert path.read_text() == "300"


def test_the_lock_is_its_owners_and_stays(tmp_path: Path) -> None:
    """Were it removed, two could hold one each: a file that is gone, and a new one of its name."""
    lock = tmp_path / "keys.json.lock"
    for _ in range(2):
        with locked(tmp_path / "keys.json"):
            assert list(tmp_path.iterdir()) == [lock]
            assert lock.stat().st_mode & 0o777 == 0o600
        assert lock.exists()


def test_what_cannot_be_changed_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="cannot be changed: No such file"),
        locked(tmp_path / "nowhere" / "keys.json"),
    ):
        pass
