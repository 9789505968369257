"""Builders of what tests speak about: journal rows, documents, and folds over memory."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import polars as pl

from processors.rating.columnar import rate
from processors.rating.reference import Rated, ReferenceRating
from processors.rating.rows import RatingRow, decode_row, encode_row
from projections.balances.alerts import Alert
from projections.balances.columnar import fold
from projections.balances.postings import Posting, ledger_frame
from projections.balances.reference import Refused, fold_row
from projections.balances.row import BalanceRow, check_conservation, next_due
from projections.balances.row import decode_row as decode_balance
from projections.balances.row import encode_row as encode_balance
from projections.rows import MemoryReader, Rows
from schemas.frames import JOURNAL_SCHEMA, RATED_SCHEMA, JournalKind, RatedKind
from schemas.times import parse_instant

PLACED_JOURNAL: Final = pl.Schema(
    {**JOURNAL_SCHEMA, "journal_offset": pl.Int64(), "row": pl.Int64()}
)
_SCALES: Final = {"quantity": 9, "before": 9, "unit_price": 12, "cost": 9}


def at(text: str) -> int:
    """Microseconds of `2026-01-01` or `2026-01-01T12:00:00Z`."""
    return parse_instant(text if "T" in text else f"{text}T00:00:00Z")


def usage(
    received_at: int, account: str, data: Any, type_: str = "call", **changes: Any
) -> dict[str, Any]:
    """A journal row of one usage event; its id comes with `journal`."""
    raw = data if isinstance(data, bytes) or data is None else json.dumps(data).encode()
    return {
        "kind": int(JournalKind.USAGE),
        "received_at": received_at,
        "account": account,
        "source": "test",
        "type": type_,
        "time": received_at,
        "data": raw,
        **changes,
    }


def tick(received_at: int) -> dict[str, Any]:
    """A journal row of a tick."""
    return {"kind": int(JournalKind.TICK), "received_at": received_at}


def document(received_at: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A journal row of a document."""
    catalog = fields["kind"] in ("Product", "RateCard")
    return {
        "kind": int(JournalKind.CATALOG if catalog else JournalKind.CREDITS),
        "received_at": received_at,
        "account": None if catalog else fields.get("account", fields["id"]),
        "data": json.dumps(fields).encode(),
    }


def journal(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The rows with ids and places: three to a frame."""
    placed = [
        {
            **row,
            "offset": index,
            "id": row.get("id", f"e{index}" if row["kind"] == JournalKind.USAGE else None),
            "journal_offset": index // 3,
            "row": index % 3,
        }
        for index, row in enumerate(rows)
    ]
    return pl.DataFrame(placed, schema=PLACED_JOURNAL)


def cuts(frame: pl.DataFrame, edges: Iterable[int]) -> list[pl.DataFrame]:
    """The frame cut at `edges`."""
    places = [0, *sorted({edge for edge in edges if 0 < edge < frame.height}), frame.height]
    return [frame.slice(a, b - a) for a, b in pairwise(places)]


def rated_by_columns(parts: Iterable[pl.DataFrame]) -> tuple[pl.DataFrame, dict[str, bytes]]:
    """The columnar fold over the parts, with a commit and empty memory after each."""
    reader, clock, results = MemoryReader(), 0, []
    for part in parts:
        rows: Rows[RatingRow] = Rows(reader, encode_row, decode_row)
        rated, clock = rate(part, clock, rows)
        results.append(rated)
        reader.commit(rows.take_changes())
    return pl.concat(results), reader.rows


def rated_by_reference(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, bytes]]:
    """The reference over the whole journal."""
    reader = MemoryReader()
    rows: Rows[RatingRow] = Rows(reader, encode_row, decode_row)
    model = ReferenceRating(rows)
    rated = [line for row in frame.iter_rows(named=True) for line in model.rate(row)]
    reader.commit(rows.take_changes())
    return rated_frame(rated), reader.rows


def rated_frame(rated: Sequence[Rated]) -> pl.DataFrame:
    """The reference's rows as a frame of RATED_SCHEMA."""
    names = list(RATED_SCHEMA)
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for line in rated:
        for name, value in zip(names, astuple(line), strict=True):
            scale = _SCALES.get(name)
            exact = value is None or scale is None
            columns[name].append(value if exact else Decimal(value).scaleb(-scale))  # type: ignore[operator]
    return pl.DataFrame(columns, schema=RATED_SCHEMA)


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
