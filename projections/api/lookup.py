"""Looking usage up for `POST /v1/documents`: the whole ledger of an account's partition, or none.

A ledger may be of any length, so both how many records are looked at and for how long are bounded.
What lies beyond is refused and left to the command line, which reads as long as it takes: part of a
ledger never stands for all of it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeVar

from projections.api.problems import unavailable
from projections.fold.log import Log
from projections.reading.lookup import read_stretches, stretches_of
from projections.reading.usage import Key, entered, usage_named, usage_of
from schemas.documents import Document
from schemas.reasons import Reason, Refusal

MOST_UNDER_WAY: Final = 16
"""One of them reads at a time: side by side each would take longer, and threads from others."""
T = TypeVar("T")
Found = list[Document | Refusal]


@dataclass(frozen=True, slots=True)
class Bound:
    """How much one request reads: records of all its partitions, seconds from its arrival."""

    records: int
    seconds: float


BOUND: Final = Bound(records=50_000, seconds=10.0)
"""A record costs a tenth of a millisecond and is of 6 kB or more, however few rows it has."""


class Scan(Protocol):
    """`Service.scan`: what a function gives, in a thread."""

    def __call__(self, read: Callable[[], T], /) -> Awaitable[T]:
        """Raises Problem 503 where too many do, and LogUnavailable."""
        ...


@dataclass
class LookUps:
    """Those of one process."""

    bound: Bound = BOUND
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _under_way: int = 0

    async def entered(self, documents: Sequence[Document], log: Log, scan: Scan) -> Found:
        """Each document as it enters, or why it does not; reads nothing where no usage is named.

        Refused are what `projections.reading.usage.entered` refuses, and voids and backfills whose
        ledger has more records than are read (`unsupported`). Raises Problem 503 beyond the other
        bounds, LogError, ReleaseError.
        """
        keys = usage_named(documents)
        if not keys:
            return list(documents)
        if self._under_way >= MOST_UNDER_WAY:
            raise unavailable("more requests look usage up in the ledger than are taken at a time")
        give_up = time.monotonic() + self.bound.seconds
        self._under_way += 1
        try:
            async with self._turn:
                return await scan(partial(_entered, documents, keys, log, self.bound, give_up))
        finally:
            self._under_way -= 1


def _entered(
    documents: Sequence[Document], keys: Sequence[Key], log: Log, bound: Bound, give_up: float
) -> Found:
    def in_time() -> None:
        if time.monotonic() >= give_up:
            raise unavailable(
                f"the ledger was not read to its end in {bound.seconds:g} s: nothing was sent;"
                " ask again, or use `drawdown apply`"
            )

    in_time()
    stretches = stretches_of(keys, log)
    records = sum(high - low for low, high in stretches.values())
    if records > bound.records:
        return [_too_long(each, records, bound) for each in documents]
    return entered(documents, read_stretches(stretches, keys, log, in_time))


def _too_long(document: Document, records: int, bound: Bound) -> Document | Refusal:
    """What would need a ledger of so many records."""
    if usage_of(document) is None:
        return document
    detail = (
        f"the ledgers to look usage up in have {records} records, and {bound.records} are read for"
        " a request: send fewer accounts at a time, or use `drawdown apply`"
    )
    return Refusal(Reason.UNSUPPORTED, detail, "kind")
