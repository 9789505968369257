"""What the lines of a batch cost: in columns where that is exact, by `line_cost` elsewhere.

Quantities and prices below 2^63 units multiply within 127 bits and divide as Decimal(38, 0), which
rounds half-even and once (facts of Polars 2, held by the tests). Larger ones, and lines whose key
is counted, are priced one at a time in Python's integers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from processors.rating.counted import price_counted
from processors.rating.known import Known
from processors.rating.lines import Lines
from processors.rating.tables import SMALL, TERMS
from projections.pricing import COST_LIMIT, line_cost
from schemas.reasons import Reason

_WHOLE: Final = pl.Decimal(38, 0)


@dataclass(frozen=True, slots=True)
class Costs:
    """Of each row, as Int128 units: quantity, cost, and the quantity before of cumulative ones."""

    quantity: pl.Series
    cost: pl.Series
    before: pl.Series


def price_lines(lines: Lines, accounts: Sequence[str], known: Known) -> Costs:
    """The costs of `lines`, which stand in log order; `accounts` is the batch's.

    A line beyond the limits becomes unrated in `lines`; what is kept of the keys moves.
    """
    terms = known.decided.of(lines.codes, TERMS)
    places = terms.get_column("counted").arg_true()
    if len(places) == len(lines.codes):
        cost, before = price_counted(lines, range(len(places)), accounts, known)
        quantity = _quantities(lines)
    else:
        found = price_counted(lines, places.to_list(), accounts, known) if len(places) else None
        quantity = _quantities(lines)
        cost = _singly(*_in_columns(quantity, terms), lines, known)
        before = cost.clear(len(cost))
        if found is not None:
            cost, before = cost.scatter(places, found[0]), before.scatter(places, found[1])
    priced = pl.Series(terms.get_column("flat").is_not_null())
    for at in (priced & cost.is_null()).arg_true().to_list():
        product = known.decisions.values[lines.codes[at]].product
        lines.codes[at] = known.unrated(product, Reason.COST_OUT_OF_RANGE)
    return Costs(quantity, cost, before)


def _quantities(lines: Lines) -> pl.Series:
    return pl.Series("quantity", lines.units, dtype=pl.Int128)


def _singly(cost: pl.Series, single: pl.Series, lines: Lines, known: Known) -> pl.Series:
    """`cost` with what columns could not price, null beyond the limits."""
    exact: dict[int, int | None] = dict.fromkeys((cost > COST_LIMIT).arg_true().to_list())
    for at in single.arg_true().to_list():
        units, price = lines.units[at], known.decisions.values[lines.codes[at]].price
        assert isinstance(units, int)
        assert price is not None
        exact[at] = line_cost(price, units, 0)
    if not exact:
        return cost
    return cost.scatter(list(exact), pl.Series(list(exact.values()), dtype=pl.Int128))


def _in_columns(quantity: pl.Series, terms: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """The cost of every line that columns can price, and which are to be priced singly."""
    large = ~pl.col("flat") & (pl.col("units") > SMALL) & ~pl.col("counted")
    multiplied = pl.when("flat").then(pl.lit(1, pl.Int128)).otherwise("units")
    single = (pl.col("single") & ~pl.col("counted")) | large
    # What is too large is not multiplied: an Int128 would wrap in silence.
    times = pl.when(~single).then(multiplied)
    product = (times * pl.col("amount")).cast(_WHOLE)
    cost = (product / pl.col("size").cast(_WHOLE)).to_physical()
    frame = terms.hstack([quantity.alias("units")]).select_seq(cost=cost, single=single)
    return frame.get_column("cost"), frame.get_column("single")
