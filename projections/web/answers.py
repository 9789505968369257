"""What went wrong, as every service answers it: nothing but problems, also for its own bugs."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from projections.web.problem import CONTENT_TYPE, Problem

log = logging.getLogger("drawdown")


def answered(problem: Problem) -> Response:
    """The problem as a response."""
    return Response(problem.body, problem.status, problem.headers, CONTENT_TYPE)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answered(error)


async def _of_framework(_request: Request, error: Exception) -> Response:
    """What starlette itself refuses: 404, 405 with Allow."""
    assert isinstance(error, HTTPException)
    problem = Problem(HTTPStatus(error.status_code), str(error.detail))
    problem.headers.update(error.headers or {})
    return answered(problem)


async def _bug(_request: Request, error: Exception) -> Response:
    log.error("a bug: %s", error, exc_info=error)
    return answered(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something is wrong here"))


HANDLERS: Final[Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]] = {
    Problem: _problem,
    HTTPException: _of_framework,
    Exception: _bug,
}
"""For an application's `exception_handlers`."""
