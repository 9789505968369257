"""Builders of journals, and the rating folds over memory."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import polars as pl

from processors.rating.columnar import rate
from processors.rating.known import Known
from processors.rating.rated import Rated
from processors.rating.reference import ReferenceRating
from projections.balances.recorded import AS_RATED
from projections.rates.rows import RatingRow, decode_row, encode_row
from projections.rows import MemoryReader, Rows
from schemas.documents import CATALOG_KINDS
from schemas.frames import JOURNAL_SCHEMA, RATED_SCHEMA, JournalKind
from schemas.numbers import Credits, Quantity
from schemas.times import format_instant, parse_instant

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
    catalog = fields["kind"] in CATALOG_KINDS
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


def rated_in_one_go(
    parts: Iterable[pl.DataFrame], keep: int
) -> tuple[pl.DataFrame, dict[str, bytes]]:
    """The columnar fold as a worker runs it: one memory, of which `keep` rows survive a commit."""
    reader, clock, results = MemoryReader(), 0, []
    rows: Rows[RatingRow] = Rows(reader, encode_row, decode_row)
    known = Known(rows)
    for part in parts:
        rated, clock = rate(part, clock, rows, known)
        results.append(rated)
        reader.commit(rows.take_changes())
        rows.evict(keep, {})
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


def voided_line(line: Rated) -> dict[str, Any]:
    """A line as a `void_usage` carries it; all of it was overage."""
    assert line.period is not None
    assert line.quantity is not None
    assert line.cost is not None
    return {
        **{name: getattr(line, name) for name in AS_RATED},
        "period": format_instant(line.period),
        "quantity": str(Quantity(line.quantity)),
        "cost": str(Credits(line.cost)),
        "overage": str(Credits(line.cost)),
        "slices": [],
    }
