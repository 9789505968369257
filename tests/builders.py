"""Builders of rated rows, and the balances folds over memory; journals are of `tests.rating`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from projections.balances.alerts import Alert
from projections.balances.columnar import fold
from projections.balances.postings import Posting, ledger_frame
from projections.balances.reference import Refused, fold_row
from projections.balances.row import BalanceRow, check_conservation, next_due
from projections.balances.row import decode_row as decode_balance
from projections.balances.row import encode_row as encode_balance
from projections.rows import MemoryReader, Rows
from schemas.frames import RATED_SCHEMA, RatedKind
from tests.rating import at, cuts, document, journal, tick, usage

__all__ = ["at", "cuts", "document", "journal", "tick", "usage"]

def line(
    at_: int, account: str, product: str, cost: str, time: int | None = None
) -> dict[str, Any]:
    """A rated line of `cost` credits."""
    return {
        "kind": int(RatedKind.LINE),
        "at": at_,
        "account": account,
        "source": "test",
        "id": "e",
        "time": at_ if time is None else time,
        "product": product,
        "rate_card": "standard",
        "version": 1,
        "quantity": Decimal(1),
        "cost": Decimal(cost),
    }


def rated_document(at_: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A rated row that passes a document on."""
    return {
        "kind": int(RatedKind.DOCUMENT),
        "at": at_,
        "account": fields.get("account", fields["id"]),
        "data": json.dumps(fields).encode(),
    }


def rated_tick(at_: int) -> dict[str, Any]:
    """A rated row of a tick."""
    return {"kind": int(RatedKind.TICK), "at": at_}


def rated(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The rows with places: three to a frame, every other with a second ordinal."""
    placed = [
        {**row, "journal_offset": index // 6, "row": index // 2 % 3, "ordinal": index % 2}
        for index, row in enumerate(rows)
    ]
    return pl.DataFrame(placed, schema=RATED_SCHEMA)


@dataclass
class Outcome:
    """What a balances fold did, in a form that compares."""

    ledger: pl.DataFrame
    alerts: list[Alert]
    refused: list[Refused]
    rows: dict[str, bytes]


def drawn_by_columns(parts: Iterable[pl.DataFrame]) -> Outcome:
    """The columnar fold over the parts, with a commit and empty memory after each."""
    reader, ledgers = MemoryReader(), []
    alerts: list[Alert] = []
    refused: list[Refused] = []
    for part in parts:
        rows: Rows[BalanceRow] = Rows(reader, encode_balance, decode_balance, next_due)
        folded = fold(part, rows)
        ledgers.append(folded.ledger)
        alerts += folded.alerts
        refused += folded.refused
        reader.commit(rows.take_changes())
    return Outcome(pl.concat(ledgers), alerts, refused, reader.rows)


def drawn_by_reference(frame: pl.DataFrame) -> Outcome:
    """The reference over all rated rows; conservation is checked after every one."""
    reader = MemoryReader()
    rows: Rows[BalanceRow] = Rows(reader, encode_balance, decode_balance, next_due)
    outcome = Outcome(pl.DataFrame(), [], [], {})
    postings: list[Posting] = []
    units = frame.with_columns(pl.col("quantity", "cost").to_physical())
    for row in units.iter_rows(named=True):
        step = fold_row(row, rows)
        postings += step.postings
        outcome.alerts += step.alerts
        outcome.refused += step.refused
        if row["account"] and (held := rows.get(row["account"])) is not None:
            assert check_conservation(held) == []
    reader.commit(rows.take_changes())
    outcome.ledger, outcome.rows = ledger_frame(postings), reader.rows
    return outcome
