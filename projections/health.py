"""What a worker says of itself: `/healthz`, `/readyz`, `/metrics`, and the watchdog.

The watchdog measures progress, not liveness: while there is lag and no partition has advanced for
`progress_seconds`, the worker is unhealthy and ends with exit code 75, so that its supervisor starts
another. It runs in its own thread with its own Kafka client, because what it guards against is a
client library that hangs.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

logger = logging.getLogger("drawdown")

NO_PROGRESS_EXIT: Final = 75
"""EX_TEMPFAIL: another start may succeed."""


@dataclass
class WorkerStatus:
    """The state that health tells. Written by the worker, read by the health server and watchdog."""

    worker: str
    ready: bool = False
    stopping: bool = False
    waiting_for: str | None = None
    stalled: str | None = None
    positions: dict[int, int] = field(default_factory=dict)
    lag_records: int = 0
    progress_at: float = field(default_factory=time.monotonic)

    def assigned(self, partitions: set[int]) -> None:
        """These partitions are this worker's now."""
        self.positions = {number: self.positions.get(number, 0) for number in partitions}
        self.ready = True
        self.progress_at = time.monotonic()

    def progressed(self, partition: int, offset: int) -> None:
        """The worker has processed `partition` up to `offset`."""
        if self.positions.get(partition) != offset:
            self.positions[partition] = offset
            self.progress_at = time.monotonic()

    def waiting(self, cause: str | None) -> None:
        """The worker waits for a server, or (None) no longer does."""
        self.waiting_for = cause

    def describe(self) -> dict[str, object]:
        """What `/healthz` answers."""
        return {
            "worker": self.worker,
            "healthy": self.stalled is None,
            "ready": self.ready and not self.stopping and self.waiting_for is None,
            "stopping": self.stopping,
            "waiting_for": self.waiting_for,
            "stalled": self.stalled,
            "lag_records": self.lag_records,
            "positions": {str(number): at for number, at in sorted(self.positions.items())},
        }


def serve_health(status: WorkerStatus, host: str, port: int) -> ThreadingHTTPServer:
    """Serve the three pages on `host:port` (0: any free port) in a daemon thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, code, content_type = _answer(self.path, status)
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Probes are not news."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _answer(path: str, status: WorkerStatus) -> tuple[bytes, HTTPStatus, str]:
    page = path.partition("?")[0]
    if page == "/metrics":
        return generate_latest(REGISTRY), HTTPStatus.OK, CONTENT_TYPE_LATEST
    told = status.describe()
    body = json.dumps(told).encode()
    fine = {"/healthz": told["healthy"], "/readyz": told["ready"]}.get(page)
    if fine is None:
        return b'{"error": "not found"}', HTTPStatus.NOT_FOUND, "application/json"
    code = HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE
    return body, code, "application/json"


def watch_progress(
    status: WorkerStatus,
    measure_lag: Callable[[dict[int, int]], int],
    progress_seconds: float,
) -> None:
    """Start the watchdog. `measure_lag` takes positions by partition and gives records of lag."""
    interval = min(5.0, progress_seconds / 4)

    def watch() -> None:
        while True:
            time.sleep(interval)
            if status.stopping:
                continue
            status.lag_records = measure_lag(dict(status.positions))
            quiet = time.monotonic() - status.progress_at
            if status.lag_records == 0:
                status.progress_at = time.monotonic()
            elif quiet > progress_seconds:
                status.stalled = (
                    f"{status.lag_records} records of lag and no progress for {quiet:.0f} s"
                )
                logger.error("%s: %s; ending", status.worker, status.stalled)
                time.sleep(1.0)  # one more probe may still read why
                os._exit(NO_PROGRESS_EXIT)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()


def report_end(error: BaseException) -> None:
    """Say why the process ends. Only a bug comes with a trace."""
    from schemas.errors import DrawdownError  # noqa: PLC0415 - kept beside its one use

    expected = isinstance(error, DrawdownError)
    logger.error(
        "ending: %s: %s", type(error).__name__, error, exc_info=None if expected else error
    )
