"""Routes that are asked so often that the framework around them would cost more than the answer.

A request of FastAPI passes some twenty calls before its endpoint and as many after it. A route that
is served directly is still declared there, for the OpenAPI document, and behaves alike: the same
endpoint, the same handlers of what it raises.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Direct:
    """Serves `routes` of `app`: endpoints that take a request, paths without parameters."""

    def __init__(self, app: Starlette, routes: Iterable[Route]) -> None:
        self._app: ASGIApp = app
        self._handlers: Any = app.exception_handlers
        self._routes = {
            (method, route.path): route for route in routes for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or leave it to the application."""
        route = None
        if scope["type"] == "http":
            route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["app"], scope["route"] = self._app, route
        request = Request(scope, receive)
        response: Response
        try:
            response = await route.endpoint(request)
        except Exception as error:  # noqa: BLE001 - each has a handler, as in the application
            response = await self._handler(type(error))(request, error)
        await response(scope, receive, send)

    def _handler(self, raised: type[Exception]) -> Callable[..., Awaitable[Response]]:
        """The nearest of its kinds, as in the application."""
        handler: Callable[..., Awaitable[Response]] = next(
            self._handlers[kind] for kind in raised.__mro__ if kind in self._handlers
        )
        return handler
