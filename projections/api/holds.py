"""Holds: `POST /v1/holds`, `…/{account}/{id}/capture`, `…/release`, and a hold as it stands.

Each is a command in the log, and the fold alone decides: no two callers get the same credit,
however many processes answer. The answer waits for that decision: the hold's row says what was
applied, the topic of rejected records why something was not. A 503 says that it is not known yet;
the id asks again, or sends again without harm.
"""

import secrets
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from projections.api import entries
from projections.api.bodies import read_model
from projections.api.deciding import decided
from projections.api.decisions import HoldAnswer, HoldWritten
from projections.api.docs import body, problems
from projections.api.parameters import AccountId, HoldId, MinPosition, answer, known_queries
from projections.api.problems import invalid, not_found
from projections.api.requests import CaptureRequest, HoldRequest, ReleaseRequest
from projections.api.service import Reader, Served, Writer, key_of, of_account, service_of
from projections.balances.books import decode_hold, hold_key, hot_key
from schemas.documents import CaptureHold, PlaceHold, ReleaseHold
from schemas.documents.fields import Id

router = APIRouter(tags=["holds"])
placing = APIRouter(tags=["holds"])
"""Served past FastAPI (`web.direct`), as checks are: thousands of callers may place at once."""
_EMPTY: Final = b"{}"
_ID_BYTES: Final = 16
_HEADER: Final = "idempotency-key"
_ids: Final = TypeAdapter[str](Id)
_NAMED: Final = {
    "parameters": [
        {
            "name": _HEADER,
            "in": "header",
            "required": False,
            "schema": _ids.json_schema(),
            "description": "the command's id, where the body has none",
        }
    ]
}
"""The `openapi_extra` of a route that reads the header itself, for one of them is direct."""


@placing.post(
    "/v1/holds",
    status_code=201,
    response_model=HoldWritten,
    responses=problems(402, 404, 408, 409, 413, 415, 429),
    openapi_extra=body(HoldRequest) | _NAMED,
)
async def place(request: Request) -> Response:
    """Reserve credits for a bounded time, all of them or none (402).

    A hold reserves what a line of the product would draw now, never overage. It expires by the
    log's clock unless it is captured or released before. Sent again with its id it is the same
    hold; with other content that is a conflict (409). Without an id one is made.
    """
    service = service_of(request)
    key = key_of(request, "write")
    await known_queries(request)
    given = await read_model(request, HoldRequest)
    of_account(key, given.account)
    name = _name(given.id, request) or f"h-{secrets.token_hex(_ID_BYTES)}"
    service.access.limit(key, 1)
    command = PlaceHold(
        id=name,
        account=given.account,
        product=given.product,
        amount=given.amount,
        contract=given.contract,
        expires_in=given.expires_in,
    )
    return await decided(service, command, name, HTTPStatus.CREATED)


@router.post(
    "/v1/holds/{account}/{hold}/capture",
    response_model=HoldWritten,
    responses=problems(404, 408, 409, 413, 415, 429),
    openapi_extra=body(CaptureRequest, required=False) | _NAMED,
)
async def capture(
    service: Served, key: Writer, request: Request, account: AccountId, hold: HoldId
) -> Response:
    """Consume all of a hold, or `amount` of it; the rest is free again.

    Without an id its own is `capture`, so a capture that is sent again is the same one.
    """
    of_account(key, account)
    given = await read_model(request, CaptureRequest, _EMPTY)
    service.access.limit(key, 1)
    name = _name(given.id, request) or "capture"
    command = CaptureHold(id=name, account=account, hold=hold, amount=given.amount)
    return await decided(service, command, hold, HTTPStatus.OK)


@router.post(
    "/v1/holds/{account}/{hold}/release",
    response_model=HoldWritten,
    responses=problems(404, 408, 409, 413, 415, 429),
    openapi_extra=body(ReleaseRequest, required=False) | _NAMED,
)
async def release(
    service: Served, key: Writer, request: Request, account: AccountId, hold: HoldId
) -> Response:
    """What is held is free again. Without an id its own is `release`."""
    of_account(key, account)
    given = await read_model(request, ReleaseRequest, _EMPTY)
    service.access.limit(key, 1)
    name = _name(given.id, request) or "release"
    command = ReleaseHold(id=name, account=account, hold=hold)
    return await decided(service, command, hold, HTTPStatus.OK)


@router.get("/v1/holds/{account}/{hold}", response_model=HoldAnswer, responses=problems(404))
async def one_hold(
    service: Served,
    key: Reader,
    account: AccountId,
    hold: HoldId,
    min_position: MinPosition = None,
) -> Response:
    """A hold as it stands; it is forgotten a day after it ended."""
    of_account(key, account)
    keys = [hold_key(account, hold), hot_key(account)]
    partition, snapshot = await service.take(account, keys, min_position)
    row = decode_hold(account, hold, snapshot.rows.get)
    if row is None:
        raise not_found(f"no hold {hold} of account {account}")
    return answer({"hold": entries.hold_of(account, hold, row), **entries.at(partition, snapshot)})


def _name(given: str | None, request: Request) -> str | None:
    """The command's id: the body's, or the Idempotency-Key.

    Raises Problem 422 where they differ, or the header is no id.
    """
    header = request.headers.get(_HEADER)
    if header is None:
        return given
    try:
        name = _ids.validate_python(header)
    except ValidationError as error:
        fault = {"path": f"header.{_HEADER}", "detail": error.errors()[0]["msg"]}
        raise invalid("the request is not as expected", faults=[fault]) from None
    if given is not None and given != name:
        raise invalid("the body's id and the Idempotency-Key differ")
    return name
