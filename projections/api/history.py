"""What happened to an account: `GET /v1/accounts/{account}/ledger`, `…/alerts`, out of the log."""

from collections.abc import Iterator
from functools import partial

from fastapi import APIRouter
from starlette.responses import Response

from projections.api.decisions import AlertsPage, LedgerPage
from projections.api.docs import problems
from projections.api.parameters import (
    AccountId,
    MinPosition,
    Order,
    PageCursor,
    PageLimit,
    answer,
    cursor_of,
)
from projections.api.problems import invalid
from projections.api.service import Reader, Served, check_reached, of_account
from projections.api.tokens import AlertsCursor, LedgerCursor, encode
from projections.balances.stage import STAGE as BALANCES
from projections.fold.log import Log
from projections.reading import alerts as alerts_of
from projections.reading import ledger as ledger_of
from projections.reading.alerts import AlertPage
from projections.reading.ledger import Page, Place, spread
from schemas.frames import Vector
from schemas.topics import ALERTS, LEDGER

router = APIRouter(tags=["history"])


@router.get("/v1/accounts/{account}/ledger", response_model=LedgerPage, responses=problems())
async def ledger(
    service: Served,
    key: Reader,
    account: AccountId,
    order: Order = "newest",
    limit: PageLimit = 100,
    cursor: PageCursor = None,
    min_position: MinPosition = None,
) -> Response:
    """The postings of an account, up to the position of its balances.

    How much of the log one request reads is bounded: a page that found little still has a cursor.
    """
    of_account(key, account)
    found = cursor_of(cursor, LedgerCursor)
    newest = order == "newest"
    if found is not None and found.newest != newest:
        raise invalid("cursor: it is of the other order")
    partition = service.partition_of(account)
    least = await service.until_covered(partition, min_position)
    slot = (partition, BALANCES)
    position = (await service.rows.take({slot: ()}))[slot].position
    check_reached(position, least)
    reached = position.reached
    start = None if found is None else Place(found.offset, found.place)
    read = partial(
        _ledger, service.log, partition, spread(reached), account, start, limit, newest=newest
    )
    page = await service.scan(read)
    after = page.after
    following = (
        None if after is None else encode(LedgerCursor(newest, after.offset, after.position))
    )
    where = {"partition": partition, "position": list(reached)}
    return answer({"lines": page.lines, "next_cursor": following, **where})


@router.get("/v1/accounts/{account}/alerts", response_model=AlertsPage, responses=problems())
async def alerts(
    service: Served,
    key: Reader,
    account: AccountId,
    order: Order = "newest",
    limit: PageLimit = 100,
    cursor: PageCursor = None,
    min_position: MinPosition = None,
) -> Response:
    """The alerts of an account as they happened; drop repeats by id.

    How much of the log one request reads is bounded: a page that found little still has a cursor.
    """
    of_account(key, account)
    found = cursor_of(cursor, AlertsCursor)
    newest = order == "newest"
    if found is not None and found.newest != newest:
        raise invalid("cursor: it is of the other order")
    partition = service.partition_of(account)
    await service.until_covered(partition, min_position)
    start = None if found is None else found.offset
    read = partial(_alerts, service.log, partition, account, start, limit, newest=newest)
    page, end = await service.scan(read)
    following = None if page.after is None else encode(AlertsCursor(newest, page.after))
    where = {"partition": partition, "end": end}
    return answer({"alerts": page.alerts, "next_cursor": following, **where})


def _ledger(
    log: Log,
    partition: int,
    upto: Vector,
    account: str,
    start: Place | None,
    limit: int,
    *,
    newest: bool,
) -> Page:
    """A page of the ledger. Raises LogUnavailable, FrameError."""
    bounds = log.bounds(LEDGER.name, [partition])[partition]

    def read(begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        return ((each[0], each[2]) for each in log.read(LEDGER.name, partition, begin, end))

    pages = ledger_of.newest_first if newest else ledger_of.oldest_first
    return pages(read, bounds, upto, account, start, limit)


def _alerts(
    log: Log, partition: int, account: str, start: int | None, limit: int, *, newest: bool
) -> tuple[AlertPage, int]:
    """A page of the alerts, and where they end. Raises LogUnavailable."""
    bounds = log.bounds(ALERTS.name, [partition])[partition]

    def read(begin: int, end: int) -> Iterator[tuple[int, bytes | None, bytes]]:
        for offset, _, value, key, _ in log.read(ALERTS.name, partition, begin, end):
            yield offset, key, value

    pages = alerts_of.newest_first if newest else alerts_of.oldest_first
    return pages(read, bounds, account, start, limit), bounds[1]
