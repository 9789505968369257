"""Waiting for rows: everybody who waits is looked after by one read per round.

A request hands in which rows of balances it wants to see and a judge, a pure function of rating's
and balances' snapshots that gives None as long as there is nothing to say. A round is every
`ROUND_SECONDS` while somebody waits, whatever their number; a judge is asked once for each position
of its partition, so a round in which nothing has moved costs a look at the positions.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from projections import metrics
from projections.api.rows import LiveRows, Slot, Taken
from projections.balances.stage import STAGE as BALANCES
from projections.fold.snapshot import Snapshot
from projections.rates.rows import STAGE as RATING
from schemas.errors import StoreError

ROUND_SECONDS: Final = 0.02
MOST_WAITING: Final = 5_000
T = TypeVar("T")
Judge = Callable[[Snapshot, Snapshot], T | None]
"""Of the snapshots of rating and of balances."""


class TooManyWait(Exception):
    """More requests wait than are looked after."""


@dataclass(eq=False, slots=True)
class _Waiter:
    partition: int
    keys: Sequence[str]
    judge: Judge[Any]
    found: asyncio.Future[Any]
    judged: Taken | None = None
    """The positions at which it was asked last."""


@dataclass
class Watch:
    """Those who wait, in one event loop."""

    rows: LiveRows
    _waiters: set[_Waiter] = field(default_factory=set)
    _looks: dict[int, Taken] = field(default_factory=dict)
    _watching: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether no more are looked after."""
        return len(self._waiters) >= MOST_WAITING

    async def until(
        self, partition: int, keys: Sequence[str], judge: Judge[T], seconds: float
    ) -> T | None:
        """What the judge says in the end; None where it said nothing in time.

        Raises TooManyWait, and what the judge raises.
        """
        if self.full:
            raise TooManyWait
        found: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(partition, keys, judge, found)
        self._waiters.add(waiter)
        metrics.API_WAITING.labels("api").set(len(self._waiters))
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._rounds())
        try:
            async with asyncio.timeout(seconds):
                return await found
        except TimeoutError:
            return None
        finally:
            self._waiters.discard(waiter)
            metrics.API_WAITING.labels("api").set(len(self._waiters))

    async def _rounds(self) -> None:
        while self._waiters:
            await self._round(list(self._waiters))
            await asyncio.sleep(ROUND_SECONDS)

    async def _round(self, waiters: list[_Waiter]) -> None:
        try:
            await self._look({waiter.partition for waiter in waiters})
            asking = [each for each in waiters if each.judged is not self._looks[each.partition]]
            if not asking:
                return
            wanted: dict[Slot, set[str]] = {}
            for waiter in asking:
                wanted.setdefault((waiter.partition, RATING), set())
                wanted.setdefault((waiter.partition, BALANCES), set()).update(waiter.keys)
            taken = await self.rows.take(wanted)
        except StoreError:
            return  # an outage is waited out, as long as each of them waits
        for waiter in asking:
            waiter.judged = self._looks[waiter.partition]
            _judge(waiter, taken)

    async def _look(self, partitions: set[int]) -> None:
        """The present positions of partitions: the same object as before where they are the same.

        What is read after it is of these positions or of later ones, and is then asked of again.
        """
        slots = {(number, stage): () for number in partitions for stage in (RATING, BALANCES)}
        taken = await self.rows.take(slots)
        for number in partitions:
            found = {slot: taken[slot] for slot in ((number, RATING), (number, BALANCES))}
            if found != self._looks.get(number):
                self._looks[number] = found


def _judge(waiter: _Waiter, taken: Taken) -> None:
    if waiter.found.done():
        return
    at = waiter.partition
    try:
        said = waiter.judge(taken[at, RATING], taken[at, BALANCES])
    except Exception as error:  # noqa: BLE001 - it is raised where the judge came from
        waiter.found.set_exception(error)
        return
    if said is not None:
        waiter.found.set_result(said)
