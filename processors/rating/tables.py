"""Numbered decisions and parties as tables that columns are gathered from, grown as needed."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import polars as pl

from processors.rating.lines import Decision, Party
from schemas.frames import RATED_SCHEMA
from schemas.tables import gathered

SMALL: Final = 2**63 - 1
_MOST_CHUNKS: Final = 16
DECIDED: Final = pl.Schema(
    {
        "kind": RATED_SCHEMA["kind"],
        "product": RATED_SCHEMA["product"],
        "override": pl.Int64(),
        "rate_card": RATED_SCHEMA["rate_card"],
        "version": pl.Int64(),
        "match": RATED_SCHEMA["match"],
        "price": RATED_SCHEMA["price"],
        "unit_price": pl.Int128(),
        "reason": RATED_SCHEMA["reason"],
        "amount": pl.Int128(),  # amount / size is what one unit costs, or the event where `flat`
        "size": pl.Int128(),
        "flat": pl.Boolean(),
        "single": pl.Boolean(),  # it has to be priced in Python's integers
        "counted": pl.Boolean(),  # in log order, by its key's quantity
    }
)
TERMS: Final = ("amount", "size", "flat", "single", "counted")
CHARGED: Final = pl.Schema(
    {
        "contract": RATED_SCHEMA["contract"],
        "named": pl.Boolean(),
        "revision": pl.Int64(),
        "period": pl.Int64(),
        "limited": pl.Boolean(),
    }
)
T = TypeVar("T")


class Table(Generic[T]):
    """A table with a row for each of `values`, which grow."""

    def __init__(
        self, values: Sequence[T], schema: pl.Schema, row: Callable[[T], tuple[Any, ...]]
    ) -> None:
        self._values, self._row = values, row
        self._table = pl.DataFrame(schema=schema)

    def of(self, numbers: Sequence[int], columns: Sequence[str]) -> pl.DataFrame:
        """The columns of the values with these numbers."""
        have = self._table.height
        if have < len(self._values):
            more = [self._row(value) for value in self._values[have:]]
            self._table = self._table.vstack(
                pl.DataFrame(more, schema=self._table.schema, orient="row")
            )
            if self._table.n_chunks() > _MOST_CHUNKS:
                self._table = self._table.rechunk()
        chosen = self._table.select_seq(columns)
        if numbers and numbers.count(numbers[0]) == len(numbers):
            same = chosen[numbers[0]]
            return pl.DataFrame([c.new_from_index(0, len(numbers)) for c in same.get_columns()])
        return gathered(chosen, pl.Series(numbers, dtype=pl.UInt32))


def decided_row(decision: Decision) -> tuple[Any, ...]:
    """A row of DECIDED."""
    price = decision.price
    return (
        int(decision.kind),
        decision.product,
        decision.override,
        decision.rate_card,
        decision.version,
        decision.match,
        decision.price_text,
        None if price is None else price.unit_price,
        decision.reason,
        *_terms(decision),
    )


def charged_row(party: Party) -> tuple[Any, ...]:
    """A row of CHARGED."""
    return party.contract, party.named, party.revision, party.period, bool(party.limits)


def _terms(decision: Decision) -> tuple[Any, ...]:
    """The TERMS of a decision; all null where nothing is priced."""
    price = decision.price
    if price is None:
        return None, None, None, None, None
    flat = price.model == "flat"
    if decision.aggregation is not None or price.cumulative:
        return None, None, flat, True, True
    amount, size = price.terms
    if amount > SMALL or size > SMALL:
        return None, None, flat, True, False
    return amount, size, flat, False, False
