"""Lines as the ledger recorded them: what they cost and who paid, from their postings. Pure.

A void takes back what a usage did, not what today's prices and burn order would make of it, so its
command carries these lines; they are looked up where it enters (credits.md section 6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from projections.balances.postings import OF_LINE, OVERAGE
from schemas.documents import VoidedLine, VoidUsage
from schemas.numbers import Credits, Quantity
from schemas.times import format_instant

_LINE: Final = ("journal_offset", "row", "account", "source", "id", "product", "contract")
"""What the postings of one line share and those of no other do.

A fee has no source and its own id; a line of usage has its product's place in its journal row.
"""
AS_RATED: Final = (
    "product",
    "contract",
    "match",
    "rate_card",
    "version",
    "revision",
    "override",
    "price",
    "entities",
)
"""What a recorded line carries as it was rated."""


@dataclass(frozen=True, slots=True)
class RecordedLine:
    """One line: a ledger row of it (amounts in units), its slices in order, and its overage."""

    row: Mapping[str, Any]
    slices: tuple[tuple[str, int], ...]
    overage: int


def lines_of(ledger: pl.DataFrame) -> list[RecordedLine]:
    """The lines of LEDGER_SCHEMA rows in log order; fees and voids are lines too."""
    postings = ledger.filter(
        pl.col("posting").is_in(OF_LINE) & pl.col("product").is_not_null()
    ).with_columns(pl.col(name).to_physical() for name in ("amount", "quantity", "cost"))
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for posting in postings.iter_rows(named=True):
        found.setdefault(tuple(posting[name] for name in _LINE), []).append(posting)
    return [_line(rows) for rows in found.values()]


def of_usage(account: str, source: str, event: str) -> pl.Expr:
    """Which ledger rows are of one usage: of its lines, and of their voids."""
    return (pl.col("account") == account) & (pl.col("source") == source) & (pl.col("id") == event)


def recorded_lines(
    ledger: pl.DataFrame, account: str, source: str, event: str
) -> tuple[VoidedLine, ...]:
    """The lines of a usage in log order; none where the ledger has none.

    A product has one line of it, the first: what follows of the same product are its voids.
    """
    first: dict[str, RecordedLine] = {}
    for line in lines_of(ledger.filter(of_usage(account, source, event))):
        first.setdefault(line.row["product"], line)
    return tuple(map(_voided, first.values()))


def as_recorded(command: VoidUsage, ledger: pl.DataFrame) -> VoidUsage:
    """The command with the event time and the lines of its usage; with none if there are none."""
    mine = ledger.filter(of_usage(command.account, command.source, command.event))
    time = mine.get_column("time").first() if mine.height else None
    lines = recorded_lines(mine, command.account, command.source, command.event)
    return command.model_copy(update={"time": time, "lines": lines})


def _line(rows: Sequence[Mapping[str, Any]]) -> RecordedLine:
    return RecordedLine(
        rows[0],
        tuple(
            (row["grant"], row["amount"])
            for row in rows
            if row["posting"] != OVERAGE and row["grant"] is not None
        ),
        sum(row["amount"] for row in rows if row["posting"] == OVERAGE),
    )


def _voided(line: RecordedLine) -> VoidedLine:
    period = line.row["period"]
    return VoidedLine.model_validate(
        {name: line.row[name] for name in AS_RATED}
        | {
            "period": None if period is None else format_instant(period),
            "quantity": Quantity(line.row["quantity"]),
            "cost": Credits(line.row["cost"]),
            "overage": Credits(line.overage),
            "slices": [
                {"grant": grant, "amount": Credits(amount)} for grant, amount in line.slices
            ],
        }
    )
