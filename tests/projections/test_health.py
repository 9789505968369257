"""What a worker says of itself, and how the watchdog ends one that stands still."""

import json
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from projections.health import WorkerStatus, serve_health
from schemas.errors import ProgressError

_WATCHED = """
import itertools, sys, time
from projections.health import WorkerStatus, watch_progress
status = WorkerStatus("rating", joined={joined})
counter = itertools.count()
watch_progress(status, lambda: ({token}, {lag}), 0.4)
time.sleep(4)
"""


def _page(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize(
    ("joined", "token", "lag", "code"),
    [
        (True, "0", "5", ProgressError.exit_code),
        (True, "0", "0", 0),
        (True, "next(counter)", "5", 0),
        (False, "0", "0", ProgressError.exit_code),
    ],
    ids=["lag and no progress", "no lag", "lag and progress", "never in its group"],
)
def test_the_watchdog_ends_what_stands_still(joined: bool, token: str, lag: str, code: int) -> None:
    script = _WATCHED.format(joined=joined, token=token, lag=lag)
    ran = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert code == ran.returncode, ran.stderr


_BROKEN = """
import time
from projections import health
def measure():
    raise KeyError("on purpose")
health.watch_progress(health.WorkerStatus("rating", joined=True), measure, 0.4)
time.sleep(4)
"""
_BLIND = """
import time
from projections import health
from schemas.errors import LogUnavailable
def measure():
    raise LogUnavailable("on purpose")
health.watch_progress(health.WorkerStatus("rating", joined=True), measure, 0.4)
time.sleep(4)
"""
_HUNG_STOP = """
import time
from projections import health
health.STOPPING_SECONDS = 0.5
status = health.WorkerStatus("rating", joined=True)
health.watch_progress(status, lambda: (0, 0), 0.4)
status.stopping = True
time.sleep(4)
"""


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (_BROKEN, 1),
        (_BLIND, ProgressError.exit_code),
        (_HUNG_STOP, ProgressError.exit_code),
    ],
    ids=[
        "a watchdog that fails is a bug, not a truce",
        "what cannot be measured is no end of lag",
        "what hangs while it stops",
    ],
)
def test_no_worker_goes_on_unwatched(script: str, code: int) -> None:
    ran = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert code == ran.returncode, ran.stderr


def test_health_pages_tell_the_status() -> None:
    status = WorkerStatus("rating")
    server = serve_health(status, "127.0.0.1", 0)
    port = server.server_address[1]
    try:
        assert _page(port, "/healthz")[0] == 200
        assert _page(port, "/readyz")[0] == 503
        status.assigned({0, 1})
        status.progressed(1, 7)
        assert _page(port, "/readyz")[0] == 200
        status.waiting("redis: gone")
        assert _page(port, "/readyz")[0] == 503
        status.stalled = "5 records of lag"
        code, body = _page(port, "/healthz")
        assert code == 503
        assert json.loads(body)["positions"] == {"0": 0, "1": 7}
        assert json.loads(body)["stalled"] == "5 records of lag"
        assert _page(port, "/metrics")[0] == 200
        assert _page(port, "/else")[0] == 404
    finally:
        server.shutdown()
        server.server_close()
