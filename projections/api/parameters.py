"""Parameters that several routes take, and how an answer is written."""

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from fastapi import Path, Query, Request
from starlette.responses import Response
from starlette.types import Scope

from projections.api.problems import invalid
from projections.api.tokens import LONGEST, TokenError, decode
from schemas.documents.fields import GrantId, Id

MOST: Final = 1_000
T = TypeVar("T")

AccountId = Annotated[Id, Path()]
ContractId = Annotated[Id, Path()]
GrantPathId = Annotated[GrantId, Path()]
HoldId = Annotated[Id, Path()]
MinPosition = Annotated[
    str | None, Query(max_length=LONGEST, description="what a write answered: wait until it is in")
]
PageLimit = Annotated[int, Query(ge=1, le=MOST, description="how many, at most")]
AboutLimit = Annotated[
    int, Query(ge=1, le=MOST, description="about how many: a page may hold fewer or more")
]
PageCursor = Annotated[
    str | None, Query(max_length=LONGEST, description="`next_cursor` of the page before")
]
Order = Annotated[Literal["newest", "oldest"], Query(description="which come first")]


def answer(value: Any, status: int = HTTPStatus.OK, **headers: str) -> Response:  # noqa: ANN401
    """The value as JSON; what is exact in it is text already."""
    body = msgspec.json.encode(value)
    return Response(body, status, headers or None, "application/json")


def route_of(scope: Scope) -> str:
    """The path of a request's route, with its parameters' names."""
    return getattr(scope.get("route"), "path", "unknown")


async def known_queries(request: Request) -> None:
    """Raises Problem 422 for query parameters that the route does not know, or that stand twice."""
    if not request.scope["query_string"]:
        return
    given = request.query_params
    known = request.app.state.queries[route_of(request.scope), request.method]
    if unknown := sorted(given.keys() - known):
        raise invalid(f"unknown query parameter {unknown[0][:100]!r}")
    if len(given.multi_items()) > len(given.keys()):
        raise invalid("a query parameter stands twice")


def cursor_of(text: str | None, kind: type[T]) -> T | None:
    """The cursor of a request. Raises Problem 422."""
    if text is None:
        return None
    try:
        return decode(text, kind)
    except TokenError as error:
        raise invalid(f"cursor: {error}") from None
