"""What every route needs: rows, the way into the log, who asks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request

from projections.api.coverage import Coverage
from projections.api.lookup import LookUps
from projections.api.problems import forbidden, invalid, unavailable
from projections.api.refusals import Refusals
from projections.api.rows import LiveRows, Slot, Taken
from projections.api.sending import Sending
from projections.api.tokens import TokenError, Written, decode
from projections.api.watch import TooManyWait, Watch
from projections.balances.stage import STAGE as BALANCES
from projections.fold.log import Log
from projections.fold.position import ZERO, Position
from projections.fold.snapshot import Snapshot
from projections.metrics.errors import failed
from projections.rates.rows import STAGE as RATING
from projections.web.access import Access
from projections.web.keys import Key, Scope
from schemas.errors import LogUnavailable
from schemas.frames import Vector
from schemas.partition import partition_of

WAIT_SECONDS: Final = 5.0
"""How long a read waits for `min_position`, and a hold for its decision."""
SCANS: Final = 4
"""Requests that read the log at a time."""
MOST_SCANS: Final = 32
T = TypeVar("T")


@dataclass
class Service:
    """One process of the API."""

    access: Access
    partitions: int
    rows: LiveRows
    watch: Watch
    refusals: Refusals
    sending: Sending
    log: Log
    scans: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(SCANS, thread_name_prefix="scan")
    )
    scanning: int = 0
    look_ups: LookUps = field(default_factory=LookUps)

    def partition_of(self, account: str) -> int:
        """The partition that an account lives in."""
        return partition_of(account, self.partitions)

    async def take(
        self, account: str, keys: Sequence[str], min_position: str | None
    ) -> tuple[int, Snapshot]:
        """The partition of an account, and rows of balances that contain `min_position`."""
        number = self.partition_of(account)
        balances = (number, BALANCES)
        if min_position is None:
            return number, (await self.rows.take({balances: keys}))[balances]
        coverage = self.coverage(number, min_position)

        def judge(rating: Snapshot, found: Snapshot) -> Snapshot | None:
            return found if coverage.folded(rating.position, found.position) else None

        taken = await self.rows.take({(number, RATING): (), balances: keys})
        found = judge(taken[number, RATING], taken[balances])
        if found is None:
            found = await self.wait(number, keys, judge)
        return number, found

    def coverage(self, partition: int, min_position: str) -> Coverage:
        """What must be covered there. Raises Problem 422."""
        try:
            return Coverage(*decode(min_position, Written).needed(partition))
        except TokenError as error:
            raise invalid(f"min_position: {error}") from None

    async def wait(
        self, partition: int, keys: Sequence[str], judge: Callable[[Snapshot, Snapshot], T | None]
    ) -> T:
        """What the judge says of the rows. Raises Problem 503 where it says nothing in time."""
        try:
            found = await self.watch.until(partition, keys, judge, WAIT_SECONDS)
        except TooManyWait:
            raise unavailable("more requests wait than are looked after") from None
        if found is None:
            detail = f"the rows do not contain min_position after {WAIT_SECONDS:.0f} s: ask again"
            raise unavailable(detail)
        return found

    async def until_covered(self, partition: int, min_position: str | None) -> Vector:
        """Wait until both folds' rows contain `min_position`; what balances must have reached.

        Raises Problem 422, 503. What is read after it is to be checked with `check_reached`.
        """
        if min_position is None:
            return ZERO
        coverage = self.coverage(partition, min_position)
        slots: tuple[Slot, Slot] = ((partition, RATING), (partition, BALANCES))
        taken: Taken = await self.rows.take(dict.fromkeys(slots, ()))
        rating, balances = (taken[slot] for slot in slots)
        if not coverage.folded(rating.position, balances.position):
            await self.wait(partition, (), partial(_folded, coverage))
        assert coverage.remembered is not None
        return coverage.remembered

    async def scan(self, read: Callable[[], T]) -> T:
        """What `read` gives of the log, in a thread.

        Raises Problem 503 where too many do, and LogUnavailable.
        """
        if self.scanning >= MOST_SCANS:
            raise unavailable("more requests read the log than are served at a time")
        self.scanning += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.scans, read)
        except LogUnavailable as error:
            failed(error)
            raise
        finally:
            self.scanning -= 1


def _folded(coverage: Coverage, rating: Snapshot, balances: Snapshot) -> bool | None:
    return coverage.folded(rating.position, balances.position) or None


def check_reached(balances: Position, least: Vector) -> None:
    """Raises Problem 503 where rows are older than they were: Redis was restored meanwhile."""
    if balances.reached < least:
        raise unavailable("the rows went back behind min_position: ask again")


def service_of(request: Request) -> Service:
    """The service that a request has come to."""
    service: Service = request.app.state.service
    return service


def key_of(request: Request, scope: Scope) -> Key | None:
    """The request's key, once it has the scope. Raises Problem 401, 403."""
    return service_of(request).access.key(request.headers.get("authorization", ""), scope)


async def _service(request: Request) -> Service:
    return service_of(request)


def _needs(scope: Scope) -> Callable[[Request], Awaitable[Key | None]]:
    """`key_of` as a dependency."""

    async def key(request: Request) -> Key | None:
        return key_of(request, scope)

    return key


Served = Annotated[Service, Depends(_service)]
Reader = Annotated[Key | None, Depends(_needs("read"))]
Writer = Annotated[Key | None, Depends(_needs("write"))]


def of_account(key: Key | None, account: str) -> None:
    """Raises Problem 403 where the key is of other accounts."""
    if key is not None and not key.sends_for(account):
        raise forbidden(f"account {account}")


def of_source(key: Key | None, source: str) -> None:
    """Raises Problem 403 where the key is of other sources of usage."""
    if key is not None and not key.sends_of(source):
        raise forbidden(f"source {source}")
