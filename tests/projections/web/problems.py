"""What every problem is, whichever service answers with it, and what is to be done after 503."""

import time
from collections.abc import Callable
from typing import Any, Final

import httpx

from projections.web.problem import CONTENT_TYPE

_PATIENCE_SECONDS: Final = 120.0
_AGAIN_SECONDS: Final = 0.1


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """What a problem of that status tells."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == CONTENT_TYPE == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    return told


def once_there(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer, asked again while it is 503, as that says: on a busy machine a part is late."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while (answer := ask()).status_code == httpx.codes.SERVICE_UNAVAILABLE:
        assert time.monotonic() < give_up, answer.text
        time.sleep(_AGAIN_SECONDS)
    return answer
