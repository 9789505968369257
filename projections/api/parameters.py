"""Parameters that several routes take, and how an answer is written."""

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from fastapi import Path, Query
from starlette.responses import Response

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
PageCursor = Annotated[
    str | None, Query(max_length=LONGEST, description="`next_cursor` of the page before")
]
Order = Annotated[Literal["newest", "oldest"], Query(description="which come first")]


def answer(value: Any, status: int = HTTPStatus.OK, **headers: str) -> Response:  # noqa: ANN401
    """The value as JSON; what is exact in it is text already."""
    body = msgspec.json.encode(value)
    return Response(body, status, headers or None, "application/json")


def cursor_of(text: str | None, kind: type[T]) -> T | None:
    """The cursor of a request. Raises Problem 422."""
    if text is None:
        return None
    try:
        return decode(text, kind)
    except TokenError as error:
        raise invalid(f"cursor: {error}") from None
