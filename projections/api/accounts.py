"""Accounts and their contracts: `GET /v1/accounts`, `…/{account}`, `…/{account}/contracts`."""

import json
from typing import Any, Final

from fastapi import APIRouter
from redis.exceptions import RedisError
from starlette.responses import Response

from projections.api import entries
from projections.api.docs import problems
from projections.api.models import (
    AccountAnswer,
    AccountsPage,
    ContractAnswer,
    ContractsPage,
)
from projections.api.parameters import (
    AboutLimit,
    AccountId,
    ContractId,
    MinPosition,
    PageCursor,
    PageLimit,
    answer,
    cursor_of,
)
from projections.api.problems import invalid, not_found
from projections.api.service import Reader, Served, Service, of_account
from projections.api.tokens import AccountsCursor, ContractsCursor, encode
from projections.balances.books import hot_key, terms_key
from projections.balances.row import BalanceRow
from projections.balances.stage import STAGE as BALANCES
from projections.balances.wire import decode_row
from projections.contracts import end_of, in_force
from projections.fold.position import Position, decode_position
from projections.fold.store import base_key
from projections.metrics.errors import failed
from projections.reading.contract import history
from projections.web.keys import Key
from schemas.errors import StoreUnavailable
from schemas.times import format_instant

router = APIRouter(tags=["accounts"])
_HOT: Final = hot_key("*")
_MOST_SCANS: Final = 50
"""Steps of Redis's scan in one request."""
_LEAST: Final = 100
"""Rows that a step looks at: few of them are accounts."""


@router.get("/v1/accounts", response_model=AccountsPage, responses=problems())
async def accounts(
    service: Served, key: Reader, limit: AboutLimit = 100, cursor: PageCursor = None
) -> Response:
    """The accounts that the key is of, partition by partition, in no order.

    Each with the position that it was read at: a listing goes on while the rows do.
    """
    begin = AccountsCursor(0, "", "0")
    place: AccountsCursor | None = cursor_of(cursor, AccountsCursor) or begin
    found: list[dict[str, Any]] = []
    for _ in range(_MOST_SCANS):
        assert place is not None
        if place.partition >= service.partitions:
            raise invalid(f"cursor: there are {service.partitions} partitions")
        seen, place = await _scan(service, place, limit)
        found += [each for each in seen if _may_see(key, each["account"])]
        if place is None or len(found) >= limit:
            break
    return answer({"accounts": found, "next_cursor": None if place is None else encode(place)})


def _may_see(key: Key | None, account: str) -> bool:
    return key is None or key.sends_for(account)


async def _scan(
    service: Service, place: AccountsCursor, count: int
) -> tuple[list[dict[str, Any]], AccountsCursor | None]:
    """One step of a partition's rows, and where the next one is."""
    slot = (place.partition, BALANCES)
    namespace = place.namespace or await service.rows.namespace(slot)
    if namespace is None:
        return [], _next(service, place)
    base = base_key(service.rows.key_prefix, *slot)
    pipeline = service.rows.client.pipeline(transaction=True)
    pipeline.get(base)
    pipeline.get(f"{base}:{namespace}:position")
    pipeline.hscan(f"{base}:{namespace}:rows", int(place.scan), _HOT, max(count, _LEAST))
    try:
        live, position, (scan, rows) = await pipeline.execute()
    except (RedisError, OSError) as error:
        failed(error)
        raise StoreUnavailable(f"Redis does not answer: {error}") from error
    if live is None or live.decode() != namespace:
        raise invalid("cursor: the rows were built again meanwhile: begin again")
    at = decode_position(position.decode()) if position else Position()
    where = {"partition": place.partition, "position": list(at.reached)}
    found = [_entry(row) | where for row in rows.values()]
    if int(scan):
        return found, AccountsCursor(place.partition, namespace, str(scan))
    return found, _next(service, place)


def _next(service: Service, place: AccountsCursor) -> AccountsCursor | None:
    following = place.partition + 1
    return AccountsCursor(following, "", "0") if following < service.partitions else None


def _entry(raw: bytes) -> dict[str, Any]:
    row = decode_row(raw)
    assert isinstance(row, BalanceRow), raw
    return {
        "account": row.account,
        **entries.totals_of(row),
        "journal_time": format_instant(row.clock),
    }


@router.get("/v1/accounts/{account}", response_model=AccountAnswer, responses=problems(404))
async def one_account(
    service: Served, key: Reader, account: AccountId, min_position: MinPosition = None
) -> Response:
    """An account's document, as it is in force."""
    row, where = await _account(service, key, account, min_position)
    return answer({"account": account, "document": json.loads(row.terms.document), **where})


@router.get(
    "/v1/accounts/{account}/contracts", response_model=ContractsPage, responses=problems(404)
)
async def contracts(
    service: Served,
    key: Reader,
    account: AccountId,
    limit: PageLimit = 100,
    cursor: PageCursor = None,
    min_position: MinPosition = None,
) -> Response:
    """An account's contracts, by id."""
    begin = cursor_of(cursor, ContractsCursor)
    row, where = await _account(service, key, account, min_position)
    names = sorted(name for name in row.terms.contracts if begin is None or name > begin.after)
    after = encode(ContractsCursor(names[limit - 1])) if len(names) > limit else None
    told = [_contract(row, name) for name in names[:limit]]
    return answer({"contracts": told, "next_cursor": after, **where})


@router.get(
    "/v1/accounts/{account}/contracts/{contract}",
    response_model=ContractAnswer,
    responses=problems(404),
)
async def one_contract(
    service: Served,
    key: Reader,
    account: AccountId,
    contract: ContractId,
    min_position: MinPosition = None,
) -> Response:
    """A contract's lineage: what changed, from when on, why, by whom; then its terms in force."""
    row, where = await _account(service, key, account, min_position)
    if contract not in row.terms.contracts:
        raise not_found(f"no contract {contract} of account {account}")
    return answer({**history(row, contract), **where})


async def _account(
    service: Service, key: Key | None, account: str, min_position: str | None
) -> tuple[BalanceRow, dict[str, Any]]:
    of_account(key, account)
    keys = [hot_key(account), terms_key(account)]
    partition, snapshot = await service.take(account, keys, min_position)
    row = entries.account_of(account, snapshot)
    if row is None:
        raise not_found(f"no account {account}")
    return row, entries.placed(row, partition, snapshot)


def _contract(row: BalanceRow, name: str) -> dict[str, Any]:
    lineage = row.terms.contracts[name]
    ends_at = end_of(lineage, row.clock)
    return {
        "contract": name,
        "revision": in_force(lineage, row.clock).number,
        "ends_at": None if ends_at is None else format_instant(ends_at),
    }
