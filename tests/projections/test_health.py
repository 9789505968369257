"""What a worker says of itself, and how the watchdog ends one that stands still."""

import json
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from processors.admission.observe import Status
from projections import health
from projections.health import WorkerStatus, serve_health
from projections.logs import OURS
from schemas.errors import ProgressError

_WATCHED = """
import itertools, sys, time
from projections.health import WorkerStatus, watch_progress
status = WorkerStatus("rating", joined={joined})
counter = itertools.count()
watch_progress(status, lambda: ({token}, {lag}), 0.4)
time.sleep({seconds})
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
    seconds = 60 if code else 4  # one that is to be ended has all the time that it takes
    script = _WATCHED.format(joined=joined, token=token, lag=lag, seconds=seconds)
    ran = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert code == ran.returncode, ran.stderr


_BROKEN = """
import time
from projections import health
def measure():
    raise KeyError("on purpose")
health.watch_progress(health.WorkerStatus("rating", joined=True), measure, 0.4)
time.sleep(60)
"""
_BLIND = """
import time
from projections import health
from schemas.errors import LogUnavailable
def measure():
    raise LogUnavailable("on purpose")
health.watch_progress(health.WorkerStatus("rating", joined=True), measure, 0.4)
time.sleep(60)
"""
_HUNG_STOP = """
import time
from projections import health
health.STOPPING_SECONDS = 0.5
status = health.WorkerStatus("rating", joined=True)
health.watch_progress(status, lambda: (0, 0), 0.4)
status.stopping = True
time.sleep(60)
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


@pytest.mark.parametrize("status", [WorkerStatus("rating"), Status()], ids=["fold", "admission"])
def test_a_wait_is_told_when_it_begins_and_when_it_ends(
    status: WorkerStatus | Status, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", OURS):
        for cause in (None, "Redis is away", "Redis is loading", None, None):
            status.waiting(cause)
            assert status.waiting_for == cause
    assert caplog.messages == ["waiting: Redis is away", "waits no longer"]


@pytest.mark.parametrize("sent", [b"", b"GET /metr", b"GET /metrics HTTP/1.0\r\n\r\n"])
def test_a_prober_that_hangs_up_is_not_news(
    sent: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Before its request, within it, and before the answer."""
    before = set(threading.enumerate())
    server = serve_health(WorkerStatus("rating"), "127.0.0.1", 0)
    server_thread = set(threading.enumerate()) - before
    port = server.server_address[1]
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(sent)
            reset = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        assert _page(port, "/healthz")[0] == 200  # so the one before it has been taken up
        give_up = time.monotonic() + 60
        while set(threading.enumerate()) - before - server_thread:
            assert time.monotonic() < give_up, "a request is still served"
            time.sleep(0.01)
    finally:
        server.shutdown()
        server.server_close()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_who_asks_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a thread of the worker's as long as it is served."""
    monkeypatch.setattr(health, "_ASK_SECONDS", 0.2)
    server = serve_health(WorkerStatus("rating"), "127.0.0.1", 0)
    port = server.server_address[1]
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            assert connection.recv(1) == b""
    finally:
        server.shutdown()
        server.server_close()


def test_a_bug_of_the_health_pages_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(WorkerStatus):
        def describe(self) -> dict[str, object]:
            raise KeyError("on purpose")

    server = serve_health(Broken("rating"), "127.0.0.1", 0)
    port = server.server_address[1]
    try:
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert connection.recv(1) == b""
    finally:
        server.shutdown()
        server.server_close()
    [record] = caplog.records
    assert record.getMessage() == "a bug of the health pages: 'on purpose'"
    assert record.exc_info is not None
