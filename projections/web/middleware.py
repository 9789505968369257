"""What every request passes: it is measured, and refused where too much is under way."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projections.web.answers import answered
from projections.web.budget import SHARE, Budget, Share
from projections.web.problem import Problem

ALWAYS_SERVED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""A process that has too much to do is not to be ended for it, and can be asked what it does."""
_RETRY_SECONDS: Final = 1
Count = Callable[[Scope, int, float], None]
"""Takes a request's scope, its status and the seconds until the head of its answer."""


class Timed:
    """Measures each request, and tells its sender how long the server took (`Server-Timing`)."""

    def __init__(self, app: ASGIApp, count: Count) -> None:
        self._app, self._count = app, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        begun = False

        async def timed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun, seconds = True, time.perf_counter() - started
                said = f"app;dur={seconds * 1_000:.3f}".encode()
                message["headers"] = [*message.get("headers", ()), (b"server-timing", said)]
                self._count(scope, message["status"], seconds)
            await send(message)

        try:
            await self._app(scope, receive, timed)
        except Exception:
            if not begun:  # it is answered further out
                self._count(scope, HTTPStatus.INTERNAL_SERVER_ERROR, time.perf_counter() - started)
            raise


class Bounded:
    """Serves `most` requests at a time; further ones get 503 with Retry-After at once.

    Their bodies share `most_bytes` (`body.hold`); whatever becomes of a request, its share ends.
    """

    def __init__(self, app: ASGIApp, most: int, most_bytes: int) -> None:
        self._app, self._most, self._budget = app, most, Budget(most_bytes)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http" or scope["path"] in ALWAYS_SERVED:
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            detail = f"{self._most} requests are under way, as many as are served at a time"
            problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=_RETRY_SECONDS)
            await answered(problem)(scope, receive, send)
            return
        self._under_way += 1
        share = scope[SHARE] = Share(self._budget)
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
            share.end()
