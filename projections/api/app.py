"""The application: routes, and what is common to all of them: problems, times, health.

Every answer says how long the server took (`Server-Timing`). A query parameter that nobody knows,
or that stands twice, is refused: a misspelt `min_position` would otherwise be an old answer.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from http import HTTPStatus
from typing import Final

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from projections import metrics
from projections.api import accounts, balances, checks, documents, history, holds
from projections.api.docs import openapi_of, queries_of
from projections.api.parameters import known_queries, route_of
from projections.api.problems import invalid, of_error
from projections.api.service import Service, service_of
from projections.confirming import Busy
from projections.metrics.errors import failed
from projections.metrics.page import page
from projections.web.answers import HANDLERS, answered
from projections.web.direct import Direct
from projections.web.middleware import ALWAYS_SERVED, Bounded, Timed
from schemas.errors import DrawdownError

_DIRECT: Final = (checks.router, holds.placing)
_ROUTERS: Final = (holds, balances, accounts, history, documents)
MOST_REQUESTS: Final = 5_000
"""Under way at a time; what waits or scans has narrower bounds of its own."""
Opening = Callable[[], AbstractAsyncContextManager[Service]]


def build_app(opening: Opening) -> FastAPI:
    """The routes and what they say of themselves; the service lives as long as they are served."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opening() as service:
            app.state.service = service
            yield

    app = FastAPI(
        title="Drawdown", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    for router in _DIRECT:
        app.include_router(router)
    for module in _ROUTERS:
        app.include_router(module.router, dependencies=[Depends(known_queries)])
    app.add_route("/healthz", _health, include_in_schema=False)
    app.add_route("/readyz", _ready, include_in_schema=False)
    app.add_route("/metrics", _metrics, include_in_schema=False)
    app.openapi = lambda: openapi_of(app)  # type: ignore[method-assign]
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(DrawdownError, _failure)
    app.add_exception_handler(Busy, _failure)
    app.add_exception_handler(RequestValidationError, _wrong)
    app.state.queries = queries_of(app.openapi())
    return app


def guarded(app: FastAPI, most_body_bytes: int, most_requests: int = MOST_REQUESTS) -> ASGIApp:
    """The application as it is served: some of it directly, everything bounded and measured."""
    routes = (route for router in _DIRECT for route in router.routes)
    direct = Direct(app, (route for route in routes if isinstance(route, Route)))
    bounded = Bounded(direct, most_requests, most_body_bytes)
    return Timed(bounded, _count)  # what is refused counts, too


def _count(scope: Scope, status: int, seconds: float) -> None:
    if scope["path"] in ALWAYS_SERVED:  # probes are no callers
        return
    route = route_of(scope)
    _seconds(route).observe(seconds)
    _requests(route, str(int(status))).inc()


_seconds: Final = cache(metrics.API_SECONDS.labels)
_requests: Final = cache(metrics.API_REQUESTS.labels)


async def _failure(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DrawdownError | Busy)
    return answered(of_error(error))


async def _wrong(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"path": ".".join(map(str, fault["loc"])), "detail": fault["msg"]}
        for fault in error.errors()
    ]
    return answered(invalid("the request is not as expected", faults=faults))


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
            failed(error)
            fault = f"Redis does not answer: {error}"
    status = HTTPStatus.SERVICE_UNAVAILABLE if fault else HTTPStatus.OK
    return Response(fault or "ready", status, media_type="text/plain")


async def _metrics(request: Request) -> Response:
    body, content_type = page(request.headers.get("accept", ""))
    return Response(body, media_type=content_type)
