"""What every problem is, whichever service answers with it."""

from typing import Any

import httpx

from projections.web.problem import CONTENT_TYPE


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """What a problem of that status tells."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == CONTENT_TYPE == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    return told
