"""The supervisor counts why its children end: a worker that is gone cannot say so itself."""

import sys
import time

import pytest

from deploy.supervisor import Child, Supervisor, metrics_registry
from schemas.ends import REASONS, reason_of
from schemas.errors import (
    ClaimsBehind,
    Fenced,
    FrameError,
    LogReplacedError,
    ProgressError,
    ReleaseError,
)

PATIENCE_SECONDS = 30.0


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, "stopped"),
        (-9, "killed"),
        (1, "crashed"),
        (99, "crashed"),
        (Fenced.exit_code, "fenced"),
        (ClaimsBehind.exit_code, "claims_behind"),
        (LogReplacedError.exit_code, "log"),
        (FrameError.exit_code, "log"),
        (ProgressError.exit_code, "no_progress"),
        (ReleaseError.exit_code, "release"),
    ],
)
def test_an_exit_code_has_a_reason(code: int, reason: str) -> None:
    assert reason_of(code) == reason
    assert reason in REASONS


def told(name: str, **labels: str) -> float | None:
    return metrics_registry().get_sample_value(name, labels)


def test_ends_are_counted_by_reason_and_what_runs_is_known() -> None:
    """One child is fenced each time, another runs on."""
    fenced = Child("f-1", [sys.executable, "-c", f"exit({Fenced.exit_code})"], {}, kind="fencing")
    steady = Child("steady", [sys.executable, "-c", "import time; time.sleep(600)"], {})
    supervisor = Supervisor([fenced, steady])
    supervisor.start()
    try:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while fenced.restarts < 2 and time.monotonic() < give_up:
            supervisor.poll()
            time.sleep(0.01)
        ends = told("drawdown_worker_ends_total", worker="fencing", reason="fenced")
        assert ends is not None
        assert ends >= 2
        assert told("drawdown_worker_ends_total", worker="fencing", reason="crashed") == 0
        assert told("drawdown_worker_ends_total", worker="steady", reason="fenced") == 0
        assert told("drawdown_running_workers", worker="steady") == 1
    finally:
        supervisor.stop()
    assert told("drawdown_running_workers", worker="steady") == 0
    assert told("drawdown_running_workers", worker="fencing") == 0
