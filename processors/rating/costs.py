"""What the lines of a batch cost: in columns where that is exact, by `line_cost` elsewhere.

Quantities and prices below 2^63 units multiply within 127 bits and divide as Decimal(38, 0), which
rounds half-even and once (facts of Polars 2, held by the tests). Larger ones, and lines whose cost
depends on what came before, are priced one at a time in Python's integers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from processors.rating.lines import Decision, Lines
from processors.rating.packages import price_packages
from processors.rating.rows import RatingRow
from projections.pricing import COST_LIMIT, PRICE_TO_CREDIT, Price, line_cost
from projections.rows import Rows
from schemas.frames import RatedKind
from schemas.reasons import Reason

_SMALL: Final = 2**63 - 1
_WHOLE: Final = pl.Decimal(38, 0)
_TERMS: Final = pl.Schema(
    {
        "amount": pl.Int128(),  # amount / size is what one unit costs, or the event where `flat`
        "size": pl.Int128(),
        "flat": pl.Boolean(),
        "single": pl.Boolean(),
    }
)


@dataclass(frozen=True, slots=True)
class Costs:
    """Of each row of the lines, as Int128 units: its cost, and for packages the quantity before."""

    cost: pl.Series
    before: pl.Series


def price_lines(
    lines: Lines, accounts: Sequence[str], times: Sequence[int], rows: Rows[RatingRow]
) -> Costs:
    """The costs of `lines`, which stand in log order; `accounts` and `times` are the batch's.

    A line beyond the limits becomes unrated in `lines`; the cumulative quantities move in `rows`.
    """
    cost, single = _in_columns(lines)
    exact: dict[int, int | None] = dict.fromkeys((cost > COST_LIMIT).arg_true().to_list())
    packages: list[int] = []
    for at in single.arg_true().to_list():
        price, quantity = lines.decisions[lines.codes[at]].price, lines.units[at]
        assert price is not None
        assert quantity is not None
        if price.cumulative:
            packages.append(at)
        else:
            exact[at] = line_cost(price, quantity, 0)
    befores: dict[int, int] = {}
    if packages:
        costs, befores = price_packages(lines, packages, accounts, times, rows)
        exact.update(costs)
    for at, found in exact.items():
        if found is None:
            product = lines.decisions[lines.codes[at]].product
            reason = str(Reason.COST_OUT_OF_RANGE)
            lines.codes[at] = lines.code(Decision(RatedKind.UNRATED, product, reason))
    return Costs(_replaced(cost, exact), _replaced(cost.clear(len(cost)), befores))


def _in_columns(lines: Lines) -> tuple[pl.Series, pl.Series]:
    """The cost of every line that columns can price, and which lines have to be priced singly."""
    table = pl.DataFrame([_terms(d.price) for d in lines.decisions], schema=_TERMS, orient="row")
    units = pl.Series("units", lines.units, dtype=pl.Int128)
    large = ~pl.col("flat") & (pl.col("units") > _SMALL)
    counted = pl.when("flat").then(pl.lit(1, pl.Int128)).otherwise("units")
    frame = (
        table[pl.Series(lines.codes, dtype=pl.UInt32)]
        .with_columns(units)
        .with_columns(single=pl.col("single") | large, counted=counted)
        # What is too large is not multiplied: an Int128 would wrap in silence.
        .with_columns(pl.when(~pl.col("single")).then("counted").alias("counted"))
    )
    product = (pl.col("counted") * pl.col("amount")).cast(_WHOLE)
    cost = frame.select((product / pl.col("size").cast(_WHOLE)).to_physical().alias("cost"))
    return cost.to_series(), frame.get_column("single")


def _terms(price: Price | None) -> tuple[Any, ...]:
    """A row of _TERMS; all null where nothing is priced."""
    if price is None:
        return None, None, None, None
    flat = price.model == "flat"
    size = PRICE_TO_CREDIT * (1 if flat else price.size)
    if price.cumulative or price.amount > _SMALL or size > _SMALL:
        return None, None, flat, True
    return price.amount, size, flat, False


def _replaced(column: pl.Series, values: Mapping[int, int | None]) -> pl.Series:
    if not values:
        return column
    return column.scatter(list(values), pl.Series(list(values.values()), dtype=pl.Int128))
