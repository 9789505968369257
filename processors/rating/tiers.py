"""The cost of many counted lines of tiered prices at once, in columns.

Exact: quantities, prices and multipliers are integers of 128 bits, and it is looked up beforehand
that no product leaves 38 digits; a batch where one might is priced line by line (`counted`).
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from processors.rating.curves import tiers_of
from processors.rating.lines import Decision
from projections.pricing import COST_LIMIT, QUANTITY_LIMIT

MOST_TIERS: Final = 4
_DIGITS: Final = 10**38 - 1
_WHOLE: Final = pl.Decimal(38, 0)
TIERED: Final = pl.Schema(
    {
        **{f"upper{n}": pl.Int128() for n in range(MOST_TIERS - 1)},
        **{f"start{n}": pl.Int128() for n in range(MOST_TIERS)},
        **{f"base{n}": pl.Int128() for n in range(MOST_TIERS)},
        **{f"amount{n}": pl.Int128() for n in range(MOST_TIERS)},
        "denominator": pl.Int128(),
        "reach": pl.Int128(),  # the largest quantity that is exact and within the limits
    }
)


def tiered_row(decision: Decision) -> tuple[Any, ...]:
    """A row of TIERED; all null where columns cannot price the decision."""
    tiers = None if decision.price is None else tiers_of(decision.price)
    if tiers is None or decision.aggregation not in ("sum", "count"):
        return (None,) * len(TIERED)
    uppers, parts, denominator = tiers
    largest = max(amount for _, _, amount in parts)
    base = max(base for _, base, _ in parts)
    most = min(_DIGITS, COST_LIMIT * denominator)
    reach = min((most - base) // max(largest, 1), QUANTITY_LIMIT)
    if len(parts) > MOST_TIERS or reach <= 0:
        return (None,) * len(TIERED)
    more = MOST_TIERS - len(parts)
    columns = zip(*parts, *[parts[-1]] * more, strict=True)
    return (*uppers, *[None] * more, *(n for column in columns for n in column), denominator, reach)


def tiered_costs(
    terms: pl.DataFrame, slots: Sequence[int], quantities: Sequence[int], totals: Sequence[int]
) -> tuple[pl.Series, pl.Series, list[tuple[int, int]]] | None:
    """What lines in log order cost, the quantity before each, and each slot's quantity after them.

    `terms` are the lines' rows of TIERED, `slots` their keys by number, `totals` the keys'
    quantities before. None where a number might be too large.
    """
    lines = terms.with_columns_seq(
        slot=pl.Series(slots, dtype=pl.UInt32), quantity=pl.Series(quantities, dtype=pl.Int128)
    )
    begin = pl.Series(totals, dtype=pl.Int128)[lines.get_column("slot")]
    lines = lines.with_columns_seq(
        after=pl.col("quantity").cum_sum().over("slot") + begin.alias("begin")
    ).with_columns_seq(before=pl.col("after") - pl.col("quantity"))
    if lines.select_seq((pl.col("after") > pl.col("reach")).any()).item():
        return None
    cost = lines.select_seq(_curve("after") - _curve("before")).to_series()
    ends = lines.group_by("slot", maintain_order=True).agg(pl.col("after").last())
    return cost, lines.get_column("before"), list(ends.iter_rows())


def _curve(name: str) -> pl.Expr:
    """C of the quantities in a column, rounded half-even once."""
    total = pl.col(name)
    exact = _of_tier(total, "base") + (total - _of_tier(total, "start")) * _of_tier(total, "amount")
    rounded = (exact.cast(_WHOLE) / pl.col("denominator").cast(_WHOLE)).to_physical()
    return pl.when(total > 0).then(rounded).otherwise(pl.lit(0, pl.Int128))


def _of_tier(total: pl.Expr, name: str) -> pl.Expr:
    """A column of the tier that a quantity reaches; of what has no end the comparison is null."""
    chosen = pl.col(f"{name}{MOST_TIERS - 1}")
    for tier in reversed(range(MOST_TIERS - 1)):
        reached = total <= pl.col(f"upper{tier}")
        chosen = pl.when(reached).then(pl.col(f"{name}{tier}")).otherwise(chosen)
    return chosen
