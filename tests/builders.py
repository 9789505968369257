"""Builders of rated rows, and the balances folds over memory; journals are of `tests.rating`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import polars as pl

from projections.balances.alerts import Alert
from projections.balances.books import Books, accounts_in, retired_grants
from projections.balances.columnar import fold
from projections.balances.postings import Posting, ledger_frame
from projections.balances.reference import fold_row
from projections.balances.row import check_conservation
from projections.balances.step import Refused, Step
from projections.rows import MemoryReader
from schemas.documents import CATALOG_KINDS
from schemas.frames import RATED_SCHEMA, RatedKind
from tests.rating import at, cuts, document, journal, tick, usage

__all__ = ["at", "cuts", "document", "journal", "tick", "usage"]


def line(
    at_: int, account: str, product: str, cost: str, time: int | None = None, **changes: Any
) -> dict[str, Any]:
    """A rated line of `cost` credits: no contract covers it, its price is not cumulative."""
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
        "match": "{}",
        "period": 0,
        "quantity": Decimal(1),
        "cost": Decimal(cost),
        **changes,
    }


def rated_document(at_: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A rated row that passes a document on; those of the catalog have no account."""
    catalog = fields["kind"] in CATALOG_KINDS
    return {
        "kind": int(RatedKind.DOCUMENT),
        "at": at_,
        "account": None if catalog else fields.get("account", fields["id"]),
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


def drawn_by_columns(parts: Iterable[pl.DataFrame], keep: int = 0) -> Outcome:
    """The columnar fold over the parts: a commit after each, of which `keep` rows stay cached."""
    reader, ledgers = MemoryReader(), []
    books = Books(reader)
    outcome = Outcome(pl.DataFrame(), [], [], {})
    for part in parts:
        folded = fold(part, books)
        ledgers.append(folded.ledger)
        outcome.alerts += folded.alerts
        outcome.refused += folded.refused
        reader.commit(books.rows.take_changes())
        if keep:
            books.rows.evict(keep, {})
        else:
            books = Books(reader)
    outcome.ledger, outcome.rows = pl.concat(ledgers), reader.rows
    return outcome


@dataclass
class ReferenceFold:
    """The reference, rated row by rated row, in one memory that forgets nothing."""

    reader: MemoryReader = field(default_factory=MemoryReader)
    postings: list[Posting] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.books = Books(self.reader)

    def fold(self, row: Mapping[str, Any]) -> Step:
        """Fold one rated row, amounts in units; conservation is checked after it."""
        step = fold_row(row, self.books)
        self.postings += step.postings
        self.alerts += step.alerts
        self.refused += step.refused
        if row["account"] and (held := self.books.account(row["account"])) is not None:
            assert check_conservation(held.account, held.grants) == []
        return step

    def outcome(self) -> Outcome:
        """What it did up to here."""
        self.reader.commit(self.books.rows.take_changes())
        ledger = ledger_frame(self.postings)
        return Outcome(ledger, self.alerts, self.refused, dict(self.reader.rows))


def drawn_by_reference(frame: pl.DataFrame) -> Outcome:
    """The reference over all rated rows; conservation is checked after every one."""
    model = ReferenceFold()
    units = frame.with_columns(pl.col("quantity", "before", "cost").to_physical())
    for row in units.iter_rows(named=True):
        model.fold(row)
    outcome = model.outcome()
    for account, held in accounts_in(outcome.rows).items():
        retired = retired_grants(held, outcome.rows.get)
        assert check_conservation(account, retired) == []
        assert (len(retired), sum(grant.consumed for grant in retired)) == (
            held.retired,
            held.retired_consumed,
        )
    return outcome
