"""What the API answers where something is wrong: statuses of reasons and of errors. Pure."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from projections.confirming import Busy
from projections.web.problem import Problem
from schemas.errors import DrawdownError, LogError, ReleaseError, StoreError
from schemas.reasons import Reason

RETRY_SECONDS: Final = 1
_STATUS: Final[Mapping[str, HTTPStatus]] = {
    Reason.INSUFFICIENT_CREDITS: HTTPStatus.PAYMENT_REQUIRED,
    Reason.UNKNOWN_ACCOUNT: HTTPStatus.NOT_FOUND,
    Reason.UNKNOWN_CONTRACT: HTTPStatus.NOT_FOUND,
    Reason.UNKNOWN_PRODUCT: HTTPStatus.NOT_FOUND,
    Reason.UNKNOWN_HOLD: HTTPStatus.NOT_FOUND,
    Reason.INVALID_DOCUMENT: HTTPStatus.UNPROCESSABLE_ENTITY,
    Reason.UNSUPPORTED: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def refused(reason: str, detail: str) -> Problem:
    """A command that the log refused, with its reason code."""
    status = _STATUS.get(reason, HTTPStatus.CONFLICT)
    return Problem(status, detail, more={"reason": reason})


def not_found(what: str) -> Problem:
    """Nothing of that name, as of what was folded."""
    return Problem(HTTPStatus.NOT_FOUND, f"{what} (or none that has been folded yet)")


def forbidden(what: str) -> Problem:
    """A key that is not of that account, or source."""
    return Problem(HTTPStatus.FORBIDDEN, f"this key is not of {what}")


def invalid(detail: str, **more: Any) -> Problem:  # noqa: ANN401 - whatever JSON holds
    """A request whose parts are well-formed and wrong."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, more=more)


def unavailable(detail: str, **more: Any) -> Problem:  # noqa: ANN401
    """Ask again later."""
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return Problem(status, detail, retry_after=RETRY_SECONDS, more=more)


def of_error(error: DrawdownError | Busy) -> Problem:
    """The environment failing: Kafka, Redis, or too much at a time."""
    if isinstance(error, Busy):
        return unavailable("more is under way than is taken at a time")
    if isinstance(error, StoreError | LogError | ReleaseError):
        return unavailable(str(error))
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something is wrong with this server")
