"""Folding a partition again in memory: by the references, by the columnar folds, in any cutting."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from processors.rating import columnar as rating_columnar
from processors.rating import reference as rating_reference
from projections.balances import columnar as balances_columnar
from projections.balances import reference as balances_reference
from projections.balances.alerts import Alert
from projections.balances.books import Books, due_of
from projections.balances.postings import ledger_frame
from projections.balances.wire import decode_row
from projections.rates import rows as rating_rows
from projections.rows import Changes, MemoryReader, Rows
from schemas.frames import LEDGER_SCHEMA, RATED_SCHEMA

EVEN_CUT: Final = 5_000
_CUT_PARTS: Final = (10, 30, 100, 300, 1_000)
_RATED_UNITS: Final = pl.Schema(
    [
        (name, pl.Int128() if isinstance(dtype, pl.Decimal) else dtype)
        for name, dtype in RATED_SCHEMA.items()
    ]
)


@dataclass(frozen=True, slots=True)
class Rated:
    """What rating makes of a journal."""

    lines: pl.DataFrame
    clock: int
    rows: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Balanced:
    """What balances make of a rated log."""

    ledger: pl.DataFrame
    alerts: list[Alert]
    refused: int
    rows: dict[str, bytes]


def even_cuts(height: int) -> Iterator[int]:
    """Batches of one size."""
    while height > 0:
        yield min(EVEN_CUT, height)
        height -= EVEN_CUT


def random_cuts(height: int, seed: int) -> Iterator[int]:
    """Some seventy batches of very different sizes; the same for the same seed."""
    generator = random.Random(seed)  # noqa: S311 - a reproducible cutting, no secret
    left = height
    while left > 0:
        longest = max(height // generator.choice(_CUT_PARTS), 1)
        size = min(left, generator.randint(1, longest))
        yield size
        left -= size


def rate(journal: pl.DataFrame, cuts: Iterator[int], *, reference: bool) -> Rated:
    """Rate placed journal rows from the start of the log."""
    step = rate_plainly if reference else rating_columnar.rate
    memory = MemoryReader()
    rows = Rows(memory, rating_rows.encode_row, rating_rows.decode_row)
    clock, parts = 0, [pl.DataFrame(schema=RATED_SCHEMA)]
    for batch in _slices(journal, cuts):
        rated, clock = step(batch, clock, rows)
        parts.append(rated)
        memory.commit(rows.take_changes())
    return Rated(pl.concat(parts), clock, memory.rows)


def balance(
    rated: pl.DataFrame,
    cuts: Iterator[int],
    *,
    reference: bool,
    rows: Mapping[str, bytes] | None = None,
) -> Balanced:
    """Draw down rated rows: from the start of the log, or going on from `rows`."""
    step = fold_plainly if reference else balances_columnar.fold
    memory = MemoryReader()
    if rows:
        due: dict[str, tuple[int | None, int | None]] = {
            key: (None, due_of(decode_row(raw)))
            for key, raw in rows.items()
            if key.startswith(("a:", "h:"))
        }
        memory.commit(Changes(dict(rows), due))
    books = Books(memory)
    ledgers: list[pl.DataFrame] = [pl.DataFrame(schema=LEDGER_SCHEMA)]
    alerts: list[Alert] = []
    refused = 0
    for batch in _slices(rated, cuts):
        folded = step(batch, books)
        ledgers.append(folded.ledger)
        alerts.extend(folded.alerts)
        refused += len(folded.refused)
        memory.commit(books.rows.take_changes())
    return Balanced(pl.concat(ledgers), alerts, refused, memory.rows)


def rate_plainly(
    batch: pl.DataFrame, clock: int, rows: Rows[rating_rows.RatingRow]
) -> tuple[pl.DataFrame, int]:
    """The reference of rating, with the signature of the columnar one."""
    plain = rating_reference.ReferenceRating(rows, clock)
    lines = [line for journal in batch.iter_rows(named=True) for line in plain.rate(journal)]
    columns = {name: [getattr(line, name) for line in lines] for name in RATED_SCHEMA}
    return in_decimals(pl.DataFrame(columns, schema=_RATED_UNITS)), plain.clock


def fold_plainly(batch: pl.DataFrame, books: Books) -> balances_columnar.Folded:
    """The reference of balances, with the signature of the columnar one."""
    units = batch.with_columns(pl.col("cost", "quantity").to_physical())
    steps = [balances_reference.fold_row(rated, books) for rated in units.iter_rows(named=True)]
    return balances_columnar.Folded(
        ledger_frame([posting for step in steps for posting in step.postings]),
        [alert for step in steps for alert in step.alerts],
        [refused for step in steps for refused in step.refused],
    )


def in_decimals(units: pl.DataFrame) -> pl.DataFrame:
    """A table of RATED_SCHEMA from one whose amounts are units; exact, no value is converted."""
    amounts = [name for name, dtype in RATED_SCHEMA.items() if isinstance(dtype, pl.Decimal)]
    return units.with_columns(
        pl.col(name).reinterpret(dtype=RATED_SCHEMA[name]) for name in amounts
    )


def _slices(table: pl.DataFrame, cuts: Iterator[int]) -> Iterator[pl.DataFrame]:
    start = 0
    for size in cuts:
        yield table.slice(start, size)
        start += size


def concatenated(alerts: Sequence[Alert]) -> dict[str, bytes]:
    """The alerts by id; a repeated id keeps its first content."""
    found: dict[str, bytes] = {}
    for alert in alerts:
        found.setdefault(alert.id, alert.to_cloudevent())
    return found
