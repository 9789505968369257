"""The application: routes, and what is common to all of them: problems, times, health.

Every answer says how long the server took (`Server-Timing`). A query parameter that nobody knows,
or that stands twice, is refused: a misspelt `min_position` would otherwise be an old answer.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Final

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projections import metrics
from projections.api import accounts, balances, checks, documents, history, holds
from projections.api.docs import openapi_of, queries_of
from projections.api.parameters import known_queries, route_of
from projections.api.problems import invalid, of_error
from projections.api.service import Service, service_of
from projections.confirming import Busy
from projections.web.problem import CONTENT_TYPE, Problem
from schemas.errors import DrawdownError

log = logging.getLogger("drawdown")
_ROUTERS: Final = (holds, balances, accounts, history, documents)
Opening = Callable[[], AbstractAsyncContextManager[Service]]


def build_app(opening: Opening) -> FastAPI:
    """The ASGI application; its service lives as long as it is served."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opening() as service:
            app.state.service = service
            yield

    app = FastAPI(
        title="Drawdown", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.include_router(checks.router)  # asked most often, so looked for first; see there
    for module in _ROUTERS:
        app.include_router(module.router, dependencies=[Depends(known_queries)])
    app.add_route("/healthz", _health, include_in_schema=False)
    app.add_route("/readyz", _ready, include_in_schema=False)
    app.add_route("/metrics", _metrics, include_in_schema=False)
    app.openapi = lambda: openapi_of(app)  # type: ignore[method-assign]
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(DrawdownError, _failure)
    app.add_exception_handler(Busy, _failure)
    app.add_exception_handler(RequestValidationError, _wrong)
    app.add_exception_handler(HTTPException, _other)
    app.add_exception_handler(Exception, _bug)
    app.add_middleware(Timed)
    app.state.queries = queries_of(app.openapi())
    return app


class Timed:
    """Measures each request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                seconds = time.perf_counter() - started
                said = f"app;dur={seconds * 1_000:.3f}".encode()
                message["headers"] = [*message.get("headers", ()), (b"server-timing", said)]
                _count(route_of(scope), message["status"], seconds)
            await send(message)

        await self._app(scope, receive, timed)


def _count(route: str, status: int, seconds: float) -> None:
    metrics.API_SECONDS.labels(route).observe(seconds)
    metrics.API_REQUESTS.labels(route, str(status)).inc()


def _answered(problem: Problem) -> Response:
    return Response(problem.body, problem.status, problem.headers, CONTENT_TYPE)


async def _problem(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return _answered(problem)


async def _failure(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DrawdownError | Busy)
    return _answered(of_error(error))


async def _wrong(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"path": ".".join(map(str, fault["loc"])), "detail": fault["msg"]}
        for fault in error.errors()
    ]
    return _answered(invalid("the request is not as expected", faults=faults))


async def _other(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = Problem(HTTPStatus(error.status_code), str(error.detail))
    problem.headers.update(error.headers or {})
    return _answered(problem)


async def _bug(_request: Request, error: Exception) -> Response:
    log.error("a bug: %s", error, exc_info=error)
    return _answered(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something is wrong here"))


async def _health(_request: Request) -> Response:
    return Response(status_code=HTTPStatus.OK)


async def _ready(request: Request) -> Response:
    """Ready while keys, Redis and the tail of refusals are."""
    service = service_of(request)
    fault = service.access.fault
    if not service.refusals.alive:
        fault = "the rejected topic is not read"
    if fault is None:
        try:
            await service.rows.client.ping()
        except (RedisError, OSError) as error:
            fault = f"Redis does not answer: {error}"
    status = HTTPStatus.SERVICE_UNAVAILABLE if fault else HTTPStatus.OK
    return Response(fault or "ready", status, media_type="text/plain")


async def _metrics(_request: Request) -> Response:
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
