"""Documents and commands into the log, and what became of them: nothing else is ever written."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from projections.api.coverage import Coverage
from projections.api.refusals import Expected, Refusals, Refused, Stand
from projections.api.rows import LiveRows
from projections.api.tokens import Written
from projections.api.watch import Watch
from projections.balances.stage import STAGE as BALANCES
from projections.confirming import ConfirmingProducer, Place
from projections.fold.position import Position
from projections.fold.snapshot import Snapshot
from projections.rates.rows import STAGE as RATING
from schemas.destination import destination
from schemas.documents import Document
from schemas.partition import partition_of
from schemas.topics import CATALOG, CREDITS

MOST_PENDING: Final = 20_000
CONFIGURATION: Final[dict[str, str | int | float | bool]] = {
    "linger.ms": 2,
    # One request at a time, so that a retry cannot put a record behind those sent after it.
    "max.in.flight.requests.per.connection": 1,
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A document that every in-sync replica has, its bytes, and where it stands."""

    document: Document
    value: bytes
    topic: str
    place: Place


@dataclass(frozen=True, slots=True)
class Covered:
    """Up to where the journal was read when a partition's rows contained what was sent."""

    below: int


@dataclass
class Sending:
    """Sends, and waits for what the folds made of it."""

    producer: ConfirmingProducer
    topic_prefix: str
    partitions: int
    rows: LiveRows
    watch: Watch
    refusals: Refusals

    async def send(self, documents: Sequence[Document]) -> list[Sent]:
        """Send the catalog's, and once they are confirmed the accounts', in order; commands too.

        Confirmed in between, because the sources are merged by the broker's time. Raises Busy and
        LogUnavailable, with each of them sent or not.
        """
        found: list[Sent] = []
        for topic in (CATALOG, CREDITS):
            bound = [(each, *destination(each)) for each in documents]
            mine = [(each, key, value) for each, to, key, value in bound if to is topic]
            name = self.topic_prefix + topic.name
            places = await self.producer.send_placed(name, [(key, value) for _, key, value in mine])
            found += [
                Sent(each, value, name, place)
                for (each, _, value), place in zip(mine, places, strict=True)
            ]
        return found

    def written(self, sent: Iterable[Sent]) -> Written:
        """Behind the last of them in each source."""
        catalog, credits_ = 0, dict[int, int]()
        for each in sent:
            partition, offset = each.place
            if each.topic == self.topic_prefix + CATALOG.name:
                catalog = max(catalog, offset + 1)
            else:
                credits_[partition] = max(credits_.get(partition, 0), offset + 1)
        return Written(catalog, credits_)

    def concerned(self, documents: Iterable[Document]) -> list[int]:
        """The partitions that decide of them: every one of what is the catalog's."""
        found: set[int] = set()
        for document in documents:
            topic, key, _ = destination(document)
            if topic is CATALOG:
                return list(range(self.partitions))
            found.add(partition_of(key, self.partitions))
        return sorted(found)

    async def reached(self, partitions: Iterable[int]) -> dict[int, int]:
        """Up to where each journal has been read at least. Raises StoreUnavailable."""
        numbers = list(partitions)
        slots = [(number, stage) for number in numbers for stage in (RATING, BALANCES)]
        taken = await self.rows.take(dict.fromkeys(slots, ()))
        return {
            number: furthest(taken[number, RATING].position, taken[number, BALANCES].position)
            for number in numbers
        }

    async def covered(
        self, written: Written, partitions: Iterable[int], seconds: float
    ) -> dict[int, Covered] | None:
        """Wait until the rows of all those partitions contain it; None where they did not in time.

        Raises TooManyWait.
        """

        async def one(number: int) -> Covered | None:
            coverage = Coverage(*written.needed(number))
            return await self.watch.until(number, (), partial(_covered, coverage), seconds)

        numbers = list(partitions)
        found = await asyncio.gather(*map(one, numbers))
        covered = {number: each for number, each in zip(numbers, found, strict=True) if each}
        return covered if len(covered) == len(numbers) else None

    async def told(self, seconds: float) -> bool:
        """Wait until every refusal that is written by now was read; False: not in time.

        A refusal is written before the rows that follow from it are committed.
        """
        ends = await asyncio.to_thread(self.refusals.ends)
        return await self.refusals.read_to(ends, seconds)


def furthest(rating: Position, balances: Position) -> int:
    """Up to where the journal has been read at least."""
    return max(rating.reached[0], balances.reached[0])


def _covered(coverage: Coverage, rating: Snapshot, balances: Snapshot) -> Covered | None:
    if not coverage.folded(rating.position, balances.position):
        return None
    assert coverage.remembered is not None
    return Covered(coverage.remembered[0])


async def reason(expected: Expected, stand: Stand, seconds: float) -> Refused | None:
    """Why the record was refused, as soon as the topic tells it; None where it did not in time."""
    give_up = time.monotonic() + seconds
    while (found := expected.of(stand)) is None:
        expected.came.clear()
        try:
            async with asyncio.timeout(give_up - time.monotonic()):
                await expected.came.wait()
        except TimeoutError:
            return None
    return found
