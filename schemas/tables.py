"""Tables handled on the thread that asks: what `filter`, `gather` and `concat` of Polars give.

Those of a DataFrame are handed to a thread of Polars' pool, one column or a hundred, and the caller
sleeps until it is done: on a machine whose cores are busy that is a millisecond of waiting for a
core, each time; on an idle one a tenth of that. Operations of a Series, `select_seq` and
`with_columns_seq` stay on the calling thread, so the stages keep to these.
"""

from collections.abc import Sequence

import polars as pl


def filtered(table: pl.DataFrame, mask: pl.Series | pl.Expr) -> pl.DataFrame:
    """The rows where `mask` is true, in order; null counts as false."""
    if isinstance(mask, pl.Expr):
        mask = table.select_seq(mask).to_series()
    return pl.DataFrame([column.filter(mask) for column in table.get_columns()])


def gathered(table: pl.DataFrame, places: pl.Series | list[int]) -> pl.DataFrame:
    """The rows at `places`, in that order."""
    return pl.DataFrame([column.gather(places) for column in table.get_columns()])


def stacked(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of `tables`, at least one and of the same columns, one after the other."""
    first, *others = tables
    if others:
        first = first.clone()
        for table in others:
            first.vstack(table, in_place=True)
    return first
