"""A request's body: bounded in bytes and in time, and all bodies in sum."""

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.requests import ClientDisconnect, Request

from projections.web.budget import SHARE, Share
from projections.web.problem import Problem, too_large

BODY_SECONDS: Final = 60.0
"""From the head of a request to the end of its body."""
_RETRY_SECONDS: Final = 1


async def read_whole(request: Request, most_bytes: int, seconds: float = BODY_SECONDS) -> bytes:
    """The bytes of the body as they came.

    Raises Problem 413 beyond `most_bytes`, 503 beyond what is left for bodies, 408 where they are
    not there after `seconds`, and 400 where the client has gone.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise too_large(most_bytes)
                hold(request, len(body))
    except TimeoutError:
        detail = f"the body did not come within {seconds:g} s"
        problem = Problem(HTTPStatus.REQUEST_TIMEOUT, detail)
        problem.headers["connection"] = "close"  # what still comes is of no request
        raise problem from None
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body ended early") from None
    return bytes(body)


def hold(request: Request, count: int) -> None:
    """Until it is answered, the request holds `count` bytes, in place of those before.

    Raises Problem 503 where that is more than is left of what `middleware.Bounded` allows.
    """
    share: Share = request.scope[SHARE]
    if not share.hold(count):
        detail = f"bodies of other requests take too much of the {share.most} bytes for all of them"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=_RETRY_SECONDS)
