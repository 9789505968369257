"""The entitlement check: `POST /v1/check`.

Answered in the event loop, out of one read of both folds' rows; the catalog is parsed once for as
long as its stored bytes stay the same. What other routes leave to FastAPI's dependencies is called
here: they cost as much as the check.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from projections.api.bodies import check_json, loaded, modelled, raw_member, read_body
from projections.api.decisions import CheckAnswer
from projections.api.docs import body, problems
from projections.api.fixed import HeldRows, Wanted, read_fixed
from projections.api.parameters import answer, known_queries
from projections.api.requests import CheckRequest
from projections.api.service import Service, check_reached, key_of, of_account, service_of
from projections.api.tokens import LONGEST
from projections.balances.books import CATALOG, decode_account, hot_key, terms_key
from projections.balances.stage import STAGE as BALANCES
from projections.fold.snapshot import Snapshot
from projections.rates.catalog import Catalog
from projections.rates.held import load_catalog
from projections.rates.rows import CATALOG_KEY, account_key, contracts_key, decode_row, encode_row
from projections.rates.rows import STAGE as RATING
from projections.reading.check import Asked, Behind
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
MOST_BYTES: Final = 65_536
"""Of a body: while it is taken apart nobody else is answered."""
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


class Chains:
    """The keys that checks of an account and product asked for, to read them at once next time.

    Which tally and which limits decide is known only once the first rows are read.
    """

    def __init__(self, most_keys: int = 32, most_chains: int = 10_000) -> None:
        self._most_keys, self._most_chains = most_keys, most_chains
        self._known: dict[tuple[str, str], Wanted] = {}

    def of(self, asked: Asked) -> Wanted:
        """What to begin with."""
        known = self._known.get((asked.account, asked.product))
        return _keys(asked.account) if known is None else {of: dict(known[of]) for of in known}

    def keep(self, asked: Asked, wanted: Wanted) -> None:
        """`wanted` was read in the end.

        A chain of too many keys is forgotten, and of too many chains the one longest unasked.
        """
        place = asked.account, asked.product
        self._known.pop(place, None)
        if sum(map(len, wanted.values())) <= self._most_keys:
            self._known[place] = wanted
            if len(self._known) > self._most_chains:
                del self._known[next(iter(self._known))]


def _keys(account: str) -> Wanted:
    """The rows that every check needs."""
    return {
        RATING: dict.fromkeys((CATALOG_KEY, account_key(account), contracts_key(account))),
        BALANCES: dict.fromkeys((hot_key(account), terms_key(account), CATALOG)),
    }


_catalogs: Final = Catalogs()
_chains: Final = Chains()


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
    key = key_of(request, "read")
    await known_queries(request)
    min_position = None
    if request.scope["query_string"]:
        min_position = request.query_params.get("min_position")
    check_json(request)
    asked = _asked(await read_body(request, MOST_BYTES))
    of_account(key, asked.account)
    partition = service.partition_of(asked.account)
    least = await service.until_covered(partition, min_position)
    try:
        found = await _answer(service, partition, asked, least)
    except Behind as behind:
        folded = partial(_folded, asked.account, behind.missing)
        await service.wait(partition, [*_keys(asked.account)[BALANCES]], folded)
        found = await _answer(service, partition, asked, least)
    return answer(found | {"partition": partition})


def _asked(raw: bytes) -> Asked:
    """The question of a body. Raises Problem."""
    given = modelled(loaded(raw), CheckRequest)
    return Asked(
        given.account,
        given.product,
        given.quantity.units,
        raw_member(raw, "data"),
        given.contract,
        given.time,
    )


async def _answer(service: Service, partition: int, asked: Asked, least: Vector) -> dict[str, Any]:
    judge = partial(_judge, asked, least)
    wanted = _chains.of(asked)
    found = await read_fixed(service.rows, partition, wanted, judge)
    _chains.keep(asked, wanted)
    return found


def _judge(asked: Asked, least: Vector, held: dict[str, HeldRows]) -> dict[str, Any]:
    rating, balances = held[RATING], held[BALANCES]
    check_reached(balances.position, least)
    return answer_of(asked, rating, balances, _catalogs.of(rating))


def _folded(
    account: str, contracts: Sequence[str], _rating: Snapshot, balances: Snapshot
) -> bool | None:
    row = decode_account(account, balances.rows.get)
    return (row is not None and all(name in row.terms.contracts for name in contracts)) or None
