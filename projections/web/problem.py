"""What went wrong with a request, as RFC 9457 tells it (`application/problem+json`)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

CONTENT_TYPE: Final = "application/problem+json"


class Problem(Exception):
    """A request that is refused. `more` are members beside those of the RFC."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        retry_after: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        self._body = {
            "type": "about:blank",
            "title": status.phrase,
            "status": status.value,
            "detail": detail,
            **(more or {}),
        }

    @property
    def body(self) -> bytes:
        """The problem as JSON."""
        return msgspec.json.encode(self._body)


def too_large(most_bytes: int) -> Problem:
    """A body of more than `most_bytes`."""
    detail = f"the body is larger than {most_bytes} bytes: send less at a time"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
