"""A route that is served directly answers as the application would."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from projections.web.answers import HANDLERS, answered
from projections.web.direct import Direct
from projections.web.problem import Problem
from schemas.errors import DrawdownError, StoreUnavailable
from tests.projections.web.serving import served

_PATIENCE: Final = 60.0
RAISED: Final[dict[str, Exception]] = {
    "problem": Problem(httpx.codes.CONFLICT, "no", retry_after=3),  # type: ignore[arg-type]
    "framework": HTTPException(410, "gone"),
    "subclass": StoreUnavailable("away"),
    "bug": KeyError("its text is nobody's business"),
}


async def _ask(request: Request) -> Response:
    if (name := request.query_params.get("raise")) is not None:
        raise RAISED[name]
    of_app = request.app.state.greeting, request.scope["route"].path
    return JSONResponse([*of_app, (await request.body()).decode()])


async def _failure(_request: Request, error: Exception) -> Response:
    return answered(Problem(httpx.codes.SERVICE_UNAVAILABLE, str(error)))  # type: ignore[arg-type]


def application() -> tuple[Starlette, list[Route]]:
    """An application and the routes of it that may be served directly."""
    route = Route("/ask", _ask, methods=["POST"])
    handlers: Any = {**HANDLERS, DrawdownError: _failure}
    app = Starlette(routes=[route], exception_handlers=handlers)
    app.state.greeting = "hello"
    return app, [route]


class _WithRoute:
    """FastAPI names the route in the scope; starlette does not."""

    def __init__(self, app: Starlette, routes: list[Route]) -> None:
        self._app, self._route = app, routes[0]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app({**scope, "route": self._route}, receive, send)


@pytest.fixture(scope="module")
def addresses() -> Iterator[tuple[str, str]]:
    """Where the application is served, and where it is served directly."""
    with ExitStack() as opened:
        app, routes = application()
        ports = [
            opened.enter_context(served(each))
            for each in (_WithRoute(app, routes), Direct(*application()))
        ]
        plain, direct = (f"http://127.0.0.1:{port}" for port in ports)
        yield plain, direct


@pytest.mark.parametrize("path", ["/ask", *(f"/ask?raise={name}" for name in RAISED), "/nowhere"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_both_answer_alike(addresses: tuple[str, str], method: str, path: str) -> None:
    plain, direct = (
        httpx.request(method, address + path, content=b"body", timeout=_PATIENCE)
        for address in addresses
    )
    assert (plain.status_code, plain.content) == (direct.status_code, direct.content)
    told = [{**each.headers, "date": ""} for each in (plain, direct)]
    assert told[0] == told[1]


def test_it_is_asked_without_the_application() -> None:
    class Nothing(Starlette):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["type"] == "lifespan"
            await super().__call__(scope, receive, send)

    app = Nothing()
    app.state.greeting = "hello"
    with served(Direct(app, application()[1])) as port:
        answer = httpx.post(f"http://127.0.0.1:{port}/ask", content=b"x", timeout=_PATIENCE)
    assert answer.json() == ["hello", "/ask", "x"]
