"""The quick set of `python -m tests.faults`, on the servers of this run."""

import os
from pathlib import Path
from typing import Final

import pytest

from deploy.servers.find import Servers
from tests.faults.catalogue import SCENARIOS
from tests.faults.runner import Runner

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SEED: Final = int(os.environ.get("DRAWDOWN_TEST_SEED", "20260101"))


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each.name, marks=[pytest.mark.apache] if each.needs else [])
        for each in SCENARIOS.values()
        if each.quick
    ],
)
def test_nothing_is_lost_and_nothing_doubled(name: str, servers: Servers, tmp_path: Path) -> None:
    """Each fault strikes real workers on real servers, and nothing differs."""
    print(f"DRAWDOWN_TEST_SEED={SEED}")
    runner = Runner(servers, tmp_path, SEED, quick=True, told=print)
    result = runner.run_one(SCENARIOS[name])
    assert result.holds, result.left_out or "\n".join(result.differences)
    print(f"{result.scenario.name}: {result.outcome}")
