"""An account's postings, a page at a time, in either direction. Pure but for what it is given.

The ledger's records are frames of many accounts. A writer that was restarted writes some again, cut
otherwise, and may stop in the middle of that; so rows are told by their position, once, and only
those below `upto`, the position that balances have committed: below it the ledger is whole.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from projections.balances.postings import ORDINAL_BITS
from projections.fold.position import OutputReader
from schemas.frames import Frame, OutputHeader, Vector, decode_ledger
from schemas.numbers import CREDIT_DECIMALS, QUANTITY_DECIMALS, format_units
from schemas.times import format_instant

MOST_RECORDS: Final = 5_000
"""Records that one page looks at."""
_FIRST_CHUNK: Final = 50
_LONGEST_CHUNK: Final = 1_000

Read = Callable[[int, int], Iterator[tuple[int, bytes]]]
"""Offsets and values of the ledger's records from an offset up to another."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page goes on: the next record, and the position from which on rows are to be told.

    Newest first: the record behind the next one, and the position below which they are to be told.
    """

    offset: int
    position: Vector


@dataclass(slots=True)
class Page:
    """Ledger rows as told, and where the next page begins; None: there are no more."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    after: Place | None = None


def spread(position: Vector) -> Vector:
    """The ledger's position of a position of balances."""
    offset, row, ordinal = position
    return (offset, row, ordinal << ORDINAL_BITS)


def oldest_first(
    read: Read, bounds: tuple[int, int], upto: Vector, account: str, start: Place | None, limit: int
) -> Page:
    """The account's rows from `start` on (None: from the beginning) and below `upto`.

    `bounds` are the first offset held and the end. Raises FrameError.
    """
    low, high = bounds
    page = Page()
    at = max(low, start.offset) if start else low
    reader = OutputReader(decode_ledger, start.position if start else _beginning(read, low, high))
    for offset, value in read(at, min(high, at + MOST_RECORDS)):
        rows = reader.feed(value)
        for row in _of(account, rows):
            if _position(row) >= upto:
                return page
            if len(page.lines) == limit:
                page.after = Place(offset, _position(row))
                return page
            page.lines.append(line_of(row))
        at = offset + 1
    if at < high and reader.reached < upto:
        page.after = Place(at, reader.reached)
    return page


def newest_first(
    read: Read, bounds: tuple[int, int], upto: Vector, account: str, start: Place | None, limit: int
) -> Page:
    """The account's rows below `upto`, or below where `start` left off, the latest first.

    Records are read backwards in chunks. Rows are told once all that lies between them and what was
    told before has been seen. Raises FrameError.
    """
    low, high = bounds
    seen = _Seen(account, start.position if start else upto)
    begin = min(high, start.offset) if start else high
    chunk, looked, moved = _FIRST_CHUNK, 0, False
    while begin > low and len(seen.told) <= limit and not (moved and looked >= MOST_RECORDS):
        begin, before = max(low, begin - chunk), begin
        for offset, value in read(begin, before):
            seen.add(offset, decode_ledger(value))
        looked, chunk = looked + before - begin, min(2 * chunk, _LONGEST_CHUNK)
        moved |= seen.settle(everything=begin == low)
    page = Page([line_of(row) for row in seen.told[:limit]])
    if len(seen.told) > limit:
        page.after = seen.below(_position(seen.told[limit - 1]), begin)
    elif begin > low:
        page.after = seen.below(seen.floor, begin)
    return page


@dataclass
class _Seen:
    """Frames that were read backwards, and the rows that are sure of their place.

    All from `floor` on was told, here or on pages before.
    """

    account: str
    floor: Vector
    told: list[Mapping[str, Any]] = field(default_factory=list)
    _frames: list[tuple[int, OutputHeader, pl.DataFrame]] = field(default_factory=list)

    def add(self, offset: int, frame: Frame[OutputHeader]) -> None:
        """One more record."""
        rows = frame.rows.filter(pl.col("account") == self.account)
        self._frames.append((offset, frame.header, rows))

    def settle(self, *, everything: bool) -> bool:
        """Tell what is now known without a gap; whether the floor has moved.

        With `everything` the beginning of the log was read: what is missing is in no record.
        """
        floor = (0, 0, 0) if everything else self._covered()
        if floor >= self.floor:
            return False
        rows: dict[Vector, Mapping[str, Any]] = {}
        for _, header, frame in self._frames:
            if header.after < self.floor and header.upto > floor:
                found = {_position(row): row for row in _named(frame)}
                rows |= {at: row for at, row in found.items() if floor <= at < self.floor}
        self.told += [rows[at] for at in sorted(rows, reverse=True)]
        self.floor = floor
        return True

    def below(self, position: Vector, begin: int) -> Place:
        """Where a page goes on that is to tell what lies below a position.

        Of what was read, what holds such rows is to be read again.
        """
        ends = (offset + 1 for offset, header, _ in self._frames if header.after < position)
        return Place(max(ends, default=begin), position)

    def _covered(self) -> Vector:
        """The lowest position from which on the frames hold all up to the floor."""
        lowest = self.floor
        for _, header, _ in sorted(self._frames, key=lambda each: each[1].upto, reverse=True):
            if header.upto >= lowest:
                lowest = min(lowest, header.after)
        return lowest


def _beginning(read: Read, low: int, high: int) -> Vector:
    """The position at which the log begins: its first records may be gone."""
    if not low < high:
        return (0, 0, 0)
    value = next(iter(read(low, low + 1)))[1]
    return decode_ledger(value).header.after


def _of(account: str, rows: pl.DataFrame | None) -> Iterator[Mapping[str, Any]]:
    return iter(()) if rows is None else _named(rows.filter(pl.col("account") == account))


def _named(rows: pl.DataFrame) -> Iterator[Mapping[str, Any]]:
    return rows.with_columns(
        pl.col(name).to_physical() for name in ("amount", "quantity", "cost")
    ).iter_rows(named=True)


def _position(row: Mapping[str, Any]) -> Vector:
    return (row["journal_offset"], row["row"], row["ordinal"])


def line_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A ledger row (amounts in units) as it is told."""
    return {
        "position": list(_position(row)),
        "at": format_instant(row["at"]),
        "posting": row["posting"],
        "grant": row["grant"],
        "amount": format_units(row["amount"], CREDIT_DECIMALS),
        "source": row["source"],
        "event": row["id"],
        "time": _time(row["time"]),
        "product": row["product"],
        "contract": row["contract"],
        "revision": row["revision"],
        "override": row["override"],
        "rate_card": row["rate_card"],
        "version": row["version"],
        "match": row["match"],
        "period": _time(row["period"]),
        "price": row["price"],
        "quantity": _units(row["quantity"], QUANTITY_DECIMALS),
        "cost": _units(row["cost"], CREDIT_DECIMALS),
        "entities": row["entities"],
        "unauthorised": row["unauthorised"],
        "reference": row["reference"],
    }


def _time(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _units(units: int | None, decimals: int) -> str | None:
    return None if units is None else format_units(units, decimals)
