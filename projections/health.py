"""What a worker says of itself: `/healthz`, `/readyz`, `/metrics`, and the watchdog.

The watchdog measures progress, not liveness: while there is lag and no partition has advanced for
`progress_seconds`, the worker is unhealthy and ends with ProgressError's exit code, so that its
supervisor starts another. It runs in its own thread with its own Kafka client, because what it
guards against is a client library that hangs. It ends what hangs while it stops, too, and a process
that it can no longer watch.
"""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NoReturn

from prometheus_client import REGISTRY, CollectorRegistry

from projections import ends
from projections.logs import say_wait
from projections.metrics.errors import failed
from projections.metrics.page import page
from schemas.errors import (
    DrawdownError,
    LogUnavailable,
    ProgressError,
    StoreUnavailable,
    exit_code_of,
)

logger = logging.getLogger("drawdown")

STOPPING_SECONDS: Final = 20.0
"""What is not drained by then is repeated by the successor."""
_ASK_SECONDS: Final = 10.0
"""A client that sends nothing, or takes nothing, for so long is hung up on: it has a thread."""
_LAST_PROBE_SECONDS: Final = 1.0
"""A stalled worker lives on so long, for one more probe to read why it ends."""


@dataclass
class WorkerStatus:
    """The state that health tells: written by the worker, read by its server and watchdog."""

    worker: str
    joined: bool = False
    ready: bool = False
    stopping: bool = False
    waiting_for: str | None = None
    stalled: str | None = None
    positions: dict[int, int] = field(default_factory=dict)
    lag_records: int = 0

    def assigned(self, partitions: set[int]) -> None:
        """These partitions are this worker's now."""
        self.positions = {number: self.positions.get(number, 0) for number in partitions}
        self.ready = True

    def progressed(self, partition: int, offset: int) -> None:
        """The worker has processed `partition` up to `offset`."""
        self.positions[partition] = offset

    def waiting(self, cause: str | None) -> None:
        """The worker waits for a server, or (None) no longer does."""
        say_wait(self.waiting_for, cause)
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the interface of the base
        """A prober that hangs up is not news; anything else is a bug."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            logger.error("a bug of the health pages: %s", error, exc_info=error)


def serve_health(
    status: WorkerStatus, host: str, port: int, registry: CollectorRegistry = REGISTRY
) -> ThreadingHTTPServer:
    """Serve the three pages on `host:port` (0: any free port) in a daemon thread."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _ASK_SECONDS

        def do_GET(self) -> None:
            accept = self.headers.get("Accept", "")
            body, code, content_type = _answer(self.path, status, accept, registry)
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Probes are not news."""

    server = _Server((host, port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _answer(
    path: str, status: WorkerStatus, accept: str, registry: CollectorRegistry
) -> tuple[bytes, HTTPStatus, str]:
    asked = path.partition("?")[0]
    if asked == "/metrics":
        body, content_type = page(accept, registry)
        return body, HTTPStatus.OK, content_type
    told = status.describe()
    body = json.dumps(told).encode()
    fine = {"/healthz": told["healthy"], "/readyz": told["ready"]}.get(asked)
    if fine is None:
        return b'{"error": "not found"}', HTTPStatus.NOT_FOUND, "application/json"
    code = HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE
    return body, code, "application/json"


def watch_progress(
    status: WorkerStatus, measure: Callable[[], tuple[object, int]], progress_seconds: float
) -> None:
    """Start the watchdog. `measure` gives a token that changes with progress, and records of lag.

    It runs in the watchdog's thread and may raise LogUnavailable or StoreUnavailable: what cannot
    be measured counts as neither progress nor an end of lag.
    """
    threading.Thread(
        target=_guard, args=(status, measure, progress_seconds), name="watchdog", daemon=True
    ).start()


def end(error: BaseException) -> NoReturn:
    """End the process without draining: a thread may hang in a library.

    Why is counted first, in bounded time (`projections.ends`).
    """
    report_end(error)
    ends.tell(error)
    os._exit(exit_code_of(error))


def report_end(error: BaseException) -> None:
    """Say why the process ends. Only a bug comes with a trace."""
    expected = isinstance(error, DrawdownError)
    logger.error(
        "ending: %s: %s", type(error).__name__, error, exc_info=None if expected else error
    )


def _guard(
    status: WorkerStatus, measure: Callable[[], tuple[object, int]], progress_seconds: float
) -> None:
    try:
        _watch(status, measure, progress_seconds)
    except BaseException as error:  # noqa: BLE001 - whatever it is, nobody would watch any more
        end(error)
    time.sleep(STOPPING_SECONDS)
    end(ProgressError(f"not drained within {STOPPING_SECONDS:.0f} s"))


def _watch(
    status: WorkerStatus, measure: Callable[[], tuple[object, int]], progress_seconds: float
) -> None:
    seen: object = None
    since = time.monotonic()
    while not status.stopping:
        time.sleep(min(5.0, progress_seconds / 4))
        token = seen
        try:
            token, status.lag_records = measure()
            what = f"{status.lag_records} records of lag" if status.joined else "not in its group"
            idle = status.joined and status.lag_records == 0
        except (LogUnavailable, StoreUnavailable) as error:
            logger.warning("watchdog: %s", error)
            failed(error)
            what, idle = f"lag unknown ({error})", False
        now = time.monotonic()
        if token != seen or idle:
            seen, since = token, now
        elif now - since > progress_seconds:
            status.stalled = f"{what}, no progress for {now - since:.0f} s"
            time.sleep(_LAST_PROBE_SECONDS)
            raise ProgressError(status.stalled)
