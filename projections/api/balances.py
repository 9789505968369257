"""Balances and grants: `GET /v1/accounts/{account}/balance`, `…/grants`."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from projections.api import entries
from projections.api.docs import problems
from projections.api.fixed import HeldRows, read_fixed
from projections.api.models import BalanceAnswer, GrantAnswer, GrantsPage
from projections.api.parameters import (
    AccountId,
    GrantPathId,
    MinPosition,
    PageCursor,
    PageLimit,
    answer,
    cursor_of,
)
from projections.api.problems import invalid, not_found
from projections.api.service import Reader, Served, check_reached, of_account
from projections.api.tokens import GrantsCursor, encode
from projections.balances.books import (
    CATALOG,
    decode_account,
    hot_key,
    retired_key,
    terms_key,
)
from projections.balances.row import WALLET, BalanceRow, GrantRow
from projections.balances.stage import STAGE as BALANCES
from projections.balances.wire import CatalogRow, RetiredRow, decode_row
from projections.fold.snapshot import Snapshot
from schemas.documents.fields import GrantId, Id
from schemas.frames import Vector

router = APIRouter(tags=["balances"])


@router.get("/v1/accounts/{account}/balance", response_model=BalanceAnswer, responses=problems(404))
async def balance(
    service: Served,
    key: Reader,
    account: AccountId,
    contract: Annotated[Id | None, Query(description="of this contract's credits")] = None,
    product: Annotated[Id | None, Query(description="what a line of it could draw")] = None,
    grant: Annotated[GrantId | None, Query(description="of this grant")] = None,
    min_position: MinPosition = None,
) -> Response:
    """The balance of an account, or of a contract, a grant or a product, as of a position.

    With both, `product` is asked within `contract`'s terms. `grant` goes with neither.
    """
    of_account(key, account)
    if grant is not None and (contract is not None or product is not None):
        raise invalid("expected grant, or contract and product, not both")
    keys = [hot_key(account), terms_key(account)]
    keys += [CATALOG] if product is not None else []
    keys += [retired_key(account, grant)] if grant is not None else []
    partition, snapshot = await service.take(account, keys, min_position)
    row = _account(account, snapshot)
    if grant is not None:
        figures = entries.balance_of_grant(row, _grant(row, grant, snapshot))
    elif product is not None:
        scope = _scope(row, contract)
        figures = entries.balance_of_product(row, product, _tags(snapshot, product), scope)
    elif contract is not None:
        figures = entries.balance_of_scope(row, _scope(row, contract))
    else:
        figures = entries.balance_of(row)
    asked = {"contract": contract, "product": product, "grant": grant}
    scopes = {"scopes": entries.scopes_of(row)}
    where = entries.placed(row, partition, snapshot)
    return answer({"account": account, **asked, **figures, **scopes, **where})


@router.get(
    "/v1/accounts/{account}/grants/{grant}", response_model=GrantAnswer, responses=problems(404)
)
async def one_grant(
    service: Served,
    key: Reader,
    account: AccountId,
    grant: GrantPathId,
    min_position: MinPosition = None,
) -> Response:
    """One grant, retired or not."""
    of_account(key, account)
    keys = [hot_key(account), terms_key(account), retired_key(account, grant)]
    partition, snapshot = await service.take(account, keys, min_position)
    row = _account(account, snapshot)
    (told,) = entries.grants_of(row, [_grant(row, grant, snapshot)])
    return answer({"grant": told, **entries.placed(row, partition, snapshot)})


@router.get("/v1/accounts/{account}/grants", response_model=GrantsPage, responses=problems(404))
async def grants(
    service: Served,
    key: Reader,
    account: AccountId,
    limit: PageLimit = 100,
    cursor: PageCursor = None,
    min_position: MinPosition = None,
) -> Response:
    """Every grant of an account, the latest first; retired ones after those that live."""
    of_account(key, account)
    begin = cursor_of(cursor, GrantsCursor)
    partition = service.partition_of(account)
    least = await service.until_covered(partition, min_position)
    page = await read_fixed(
        service.rows,
        partition,
        {BALANCES: dict.fromkeys((hot_key(account), terms_key(account)))},
        partial(_page, account, begin, limit, partition, least),
    )
    return answer(page)


def _page(
    account: str,
    begin: GrantsCursor | None,
    limit: int,
    partition: int,
    least: Vector,
    held: dict[str, HeldRows],
) -> dict[str, Any]:
    """One page; one more grant than fits says whether there is more."""
    rows = held[BALANCES]
    check_reached(rows.position, least)

    def read(key: str) -> bytes | None:
        return rows.read((key,))[0]

    row = decode_account(account, read)
    if row is None:
        raise not_found(f"no account {account}")
    found: list[GrantRow] = []
    if begin is None or begin.below is not None:
        numbered = sorted(row.grants, key=lambda grant: -grant.terms.number)
        below = None if begin is None else begin.below
        found += [grant for grant in numbered if below is None or grant.terms.number < below]
    live = len(found)
    name = row.last_retired if begin is None or begin.retired is None else begin.retired
    while name is not None and len(found) <= limit:
        raw = read(retired_key(account, name))
        if raw is None:
            raise invalid("cursor: its grant is not retired (any more): begin again")
        retired = decode_row(raw)
        assert isinstance(retired, RetiredRow), name
        found.append(retired.grant)
        name = retired.before
    after = None
    if len(found) > limit:
        if limit < live:
            after = encode(GrantsCursor(found[limit - 1].terms.number, None))
        else:
            after = encode(GrantsCursor(None, found[limit].id))
    told = entries.grants_of(row, found[:limit])
    where = entries.placed(row, partition, rows.snapshot)
    return {"grants": told, "next_cursor": after, **where}


def _account(account: str, snapshot: Snapshot) -> BalanceRow:
    row = entries.account_of(account, snapshot)
    if row is None:
        raise not_found(f"no account {account}")
    return row


def _scope(row: BalanceRow, contract: str | None) -> str:
    if contract is not None and contract not in row.terms.contracts:
        raise not_found(f"no contract {contract} of account {row.account}")
    return contract or WALLET


def _grant(row: BalanceRow, name: str, snapshot: Snapshot) -> GrantRow:
    grant = row.grant(name)
    if grant is None:
        raw = snapshot.rows.get(retired_key(row.account, name))
        if raw is None:
            raise not_found(f"no grant {name} of account {row.account}")
        retired = decode_row(raw)
        assert isinstance(retired, RetiredRow), name
        grant = retired.grant
    return grant


def _tags(snapshot: Snapshot, product: str) -> tuple[str, ...]:
    raw = snapshot.rows.get(CATALOG)
    catalog = CatalogRow() if raw is None else decode_row(raw)
    assert isinstance(catalog, CatalogRow), catalog
    return catalog.tags.get(product, ())
