"""A minute of the soak, on the servers of the run: every check that a minute can tell holds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.timeout(1_800)
def test_a_minute_of_load_and_faults_comes_out_right(tmp_path: Path) -> None:
    """Exact, in time again after each fault, no lag left; and it is on paper."""
    kind = "apache" if os.environ.get("DRAWDOWN_TEST_SERVERS") == "apache" else "embedded"
    command = [sys.executable, "-m", "tests.soak", "--minutes", "1", "--broker", kind]
    sized = ["--rate", "200", "--accounts", "200", "--fault-seconds", "20", "--partitions", "2"]
    done = subprocess.run(
        [*command, *sized, "--report", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    for name in ("memory.csv", "lag.csv", "latency.csv", "faults.csv"):
        assert len((tmp_path / name).read_text().splitlines()) > 2, name
    assert "reconcile proves I1 to I7 | yes" in (tmp_path / "summary.md").read_text()
