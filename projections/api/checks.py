"""The entitlement check: `POST /v1/check`.

Answered in the event loop, out of one read of both folds' rows; the catalog is parsed once for as
long as its stored bytes stay the same. What other routes leave to FastAPI's dependencies is called
here: they cost as much as the check.
"""

from collections import deque
from functools import partial
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from projections.api.bodies import check_json, loaded, modelled, raw_member, read_body
from projections.api.decisions import CheckAnswer
from projections.api.docs import body, problems
from projections.api.fixed import HeldRows, read_fixed
from projections.api.parameters import answer, known_queries
from projections.api.problems import unavailable
from projections.api.requests import CheckRequest
from projections.api.service import Service, check_reached, of_account, service_of
from projections.api.tokens import LONGEST
from projections.balances.books import CATALOG, decode_account, hot_key, terms_key
from projections.balances.stage import STAGE as BALANCES
from projections.fold.snapshot import Snapshot
from projections.rates.catalog import Catalog
from projections.rates.extract import load_data
from projections.rates.held import load_catalog
from projections.rates.rows import CATALOG_KEY, account_key, contracts_key, decode_row, encode_row
from projections.rates.rows import STAGE as RATING
from projections.reading.check import Asked
from projections.reading.check import answer as answer_of
from projections.rows import Rows
from schemas.frames import Vector

router = APIRouter(tags=["check"])
_MIN_POSITION: Final = {
    "name": "min_position",
    "in": "query",
    "required": False,
    "schema": {"type": "string", "maxLength": LONGEST},
}
_KEPT: Final = 8
"""Catalogs that are kept: partitions take a new document at different moments."""


class Catalogs:
    """Parsed catalogs by their stored bytes."""

    def __init__(self) -> None:
        self._known: deque[tuple[bytes | None, Catalog]] = deque(maxlen=_KEPT)

    def of(self, held: HeldRows) -> Catalog:
        """The catalog of rating's rows."""
        raw = held.read((CATALOG_KEY,))[0]
        for known, catalog in self._known:
            if known == raw:
                return catalog
        catalog = load_catalog(Rows(held, encode_row, decode_row))
        self._known.appendleft((raw, catalog))
        return catalog


class Behind(Exception):
    """Balances have not folded a contract yet that rating knows."""


_catalogs: Final = Catalogs()


@router.post(
    "/v1/check",
    response_model=CheckAnswer,
    responses=problems(408, 413, 415),
    openapi_extra=body(CheckRequest) | {"parameters": [_MIN_POSITION]},
)
async def check(request: Request) -> Response:
    """May the account use so much now? Nothing is written.

    Prices are those of rating's position, credits those of balances', both of one moment. The
    quantity is the line's: of a `max` product the rise, of a `unique` one the first sights.
    """
    service = service_of(request)
    key = service.access.key(request.headers.get("authorization", ""), "read")
    await known_queries(request)
    min_position = request.query_params.get("min_position")
    check_json(request)
    asked = _asked(await read_body(request))
    of_account(key, asked.account)
    partition = service.partition_of(asked.account)
    least = await service.until_covered(partition, min_position)
    try:
        found = await _answer(service, partition, asked, least)
    except Behind:
        await service.wait(partition, _keys(asked)[BALANCES], partial(_caught_up, asked.account))
        try:
            found = await _answer(service, partition, asked, least)
        except Behind:
            raise unavailable("balances have not folded a contract of the account yet") from None
    return answer(found | {"partition": partition})


def _asked(raw: bytes) -> Asked:
    """The question of a body. Raises Problem."""
    given = modelled(loaded(raw), CheckRequest)
    data = raw_member(raw, "data")
    return Asked(
        given.account,
        given.product,
        given.quantity.units,
        None if data is None else load_data(data),
        given.contract,
        given.time,
    )


def _keys(asked: Asked) -> dict[str, list[str]]:
    """The rows that every check needs."""
    account = asked.account
    return {
        RATING: [CATALOG_KEY, account_key(account), contracts_key(account)],
        BALANCES: [hot_key(account), terms_key(account), CATALOG],
    }


async def _answer(service: Service, partition: int, asked: Asked, least: Vector) -> dict[str, Any]:
    judge = partial(_judge, asked, least)
    return await read_fixed(service.rows, partition, _keys(asked), judge)


def _judge(asked: Asked, least: Vector, held: dict[str, HeldRows]) -> dict[str, Any]:
    rating, balances = held[RATING], held[BALANCES]
    check_reached(balances.position, least)
    if not _knows_contracts(asked.account, rating.snapshot, balances.snapshot):
        raise Behind
    return answer_of(asked, rating, balances, _catalogs.of(rating))


def _knows_contracts(account: str, rating: Snapshot, balances: Snapshot) -> bool:
    """Whether balances know every contract that rating knows: its terms are looked up there."""
    raw = rating.rows.get(contracts_key(account))
    if raw is None:
        return True
    row = decode_account(account, balances.rows.get)
    known = () if row is None else row.terms.contracts
    return all(name in known for name in _names(raw))


class _Lineages(msgspec.Struct):
    lineages: dict[str, msgspec.Raw]


_lineages: Final = msgspec.json.Decoder(_Lineages)


def _names(raw: bytes) -> list[str]:
    """The contracts of rating's row of them."""
    return list(_lineages.decode(raw).lineages)


def _caught_up(account: str, rating: Snapshot, balances: Snapshot) -> bool | None:
    return _knows_contracts(account, rating, balances) or None
