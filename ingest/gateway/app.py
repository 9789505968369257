"""The gateway's routes: how requests are read and answered. What is decided lies in the pure parts.

`POST /v1/events` takes what is good of a batch and tells of each event that is not;
`POST /api/v1/events` is OpenMeter's, all or nothing. Both answer once the log has the events.
"""

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from ingest.gateway.body import shape_of, split, unpacked
from ingest.gateway.events import Invalid, Posted, examine, invalid, with_time
from ingest.gateway.sender import Sender
from projections import metrics
from projections.confirming import Busy
from projections.metrics.page import page
from projections.web.access import Access
from projections.web.answers import HANDLERS
from projections.web.body import BODY_SECONDS, hold, read_whole
from projections.web.keys import Key
from projections.web.middleware import Bounded, Timed
from projections.web.problem import Problem
from schemas.errors import LogUnavailable
from schemas.reasons import Refusal
from schemas.times import format_instant

STAGE: Final = "gateway"
TAKEN: Final = {"/v1/events": HTTPStatus.ACCEPTED, "/api/v1/events": HTTPStatus.NO_CONTENT}
"""What each route answers when all is well."""
MOST_BYTES: Final = 8_000_000
"""Of a body, before and after it is unpacked."""
MOST_REQUESTS: Final = 1_000
"""Under way at a time; `sender.MOST_PENDING` bounds their events."""
_RETRY_SECONDS: Final = 1
_MOST_TOLD: Final = 100
"""Invalid events that a problem tells of."""


@dataclass
class Gateway:
    """Serves producers, `most_requests` of them at a time.

    Their bodies, as they come and then unpacked, take `most_body_bytes` in all.
    """

    sender: Sender
    access: Access
    most_body_bytes: int
    most_requests: int = MOST_REQUESTS
    body_seconds: float = BODY_SECONDS

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/events", self._events, methods=["POST"]),
                Route("/api/v1/events", self._openmeter, methods=["POST"]),
                Route("/healthz", self._health),
                Route("/readyz", self._ready),
                Route("/metrics", self._metrics),
            ],
            middleware=[
                Middleware(Timed, count=_count),
                Middleware(Bounded, most=self.most_requests, most_bytes=self.most_body_bytes),
            ],
            exception_handlers=HANDLERS,
        )

    async def _events(self, request: Request) -> Response:
        key = self._key(request)
        posted, refused = self._examined(await self._values(request), key)
        await self._send(posted)
        answer = {"accepted": len(posted), "invalid": refused}
        body = msgspec.json.encode(answer)
        return Response(body, HTTPStatus.ACCEPTED, media_type="application/json")

    async def _openmeter(self, request: Request) -> Response:
        key, values = self._key(request), await self._values(request)
        now = format_instant(time.time_ns() // 1_000)
        posted, refused = self._examined([with_time(value, now) for value in values], key)
        if refused:
            detail = f"{len(refused)} of {len(values)} events are invalid; none was taken"
            told = [msgspec.to_builtins(each) for each in refused[:_MOST_TOLD]]
            raise Problem(HTTPStatus.BAD_REQUEST, detail, more={"invalid": told})
        await self._send(posted)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _key(self, request: Request) -> Key | None:
        """Who asks. Raises Problem 401 and 403."""
        return self.access.key(request.headers.get("authorization", ""), "ingest")

    async def _values(self, request: Request) -> list[bytes]:
        shape = shape_of(request.headers.get("content-type", ""))
        body = await read_whole(request, MOST_BYTES, self.body_seconds)
        encoding = request.headers.get("content-encoding", "")
        found = unpacked(body, encoding, MOST_BYTES)
        hold(request, len(found))
        return split(found, shape)

    def _examined(self, values: list[bytes], key: Key | None) -> tuple[list[Posted], list[Invalid]]:
        self.access.limit(key, len(values))
        posted: list[Posted] = []
        refused: list[Invalid] = []
        for index, value in enumerate(values):
            found = examine(value, key)
            if isinstance(found, Refusal):
                refused.append(invalid(index, value, found))
                metrics.GATEWAY_EVENTS.labels(str(found.reason)).inc()
            else:
                posted.append(found)
        return posted, refused

    async def _send(self, posted: list[Posted]) -> None:
        try:
            await self.sender.send(posted)
        except Busy:
            detail = "more events are under way than are taken at a time"
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS, detail, retry_after=_RETRY_SECONDS
            ) from None
        except LogUnavailable as error:
            detail = f"the events may not be stored; send them again. {error}"
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=_RETRY_SECONDS
            ) from error
        finally:
            metrics.GATEWAY_PENDING.labels(STAGE).set(self.sender.pending)
        metrics.GATEWAY_EVENTS.labels("accepted").inc(len(posted))

    async def _health(self, _request: Request) -> Response:
        return Response(status_code=HTTPStatus.OK)

    async def _ready(self, _request: Request) -> Response:
        fault = self.access.fault
        status = HTTPStatus.SERVICE_UNAVAILABLE if fault else HTTPStatus.OK
        return Response(fault or "ready", status, media_type="text/plain")

    async def _metrics(self, request: Request) -> Response:
        body, content_type = page(request.headers.get("accept", ""))
        return Response(body, media_type=content_type)


def _count(scope: Scope, status: int, seconds: float) -> None:
    route = scope["path"]
    if route in TAKEN:
        metrics.GATEWAY_SECONDS.labels(route).observe(seconds)
        metrics.GATEWAY_REQUESTS.labels(route, str(int(status))).inc()
