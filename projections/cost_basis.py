"""The money behind credits: what the slices of a grant cost (credits.md section 1).

A grant of `issued` credits that was paid with `paid` money has cost `paid * used / issued` once
`used` of it are gone. That is rounded half-even to 9 decimals, and a slice is the difference
between two such sums: slices that together use the grant up cost exactly what was paid, however
they were cut, and a slice that returns gives back exactly its money.
"""

from schemas.numbers import round_half_even


def slice_money(paid: int, issued: int, before: int, amount: int) -> int:
    """What `amount` credits cost, taken from a grant of which `before` were already gone.

    All are units of 10^-9: `paid` and the result of the grant's currency, the others of credits;
    `issued` > 0. `amount` is negative for what returns.
    """
    return round_half_even(paid * (before + amount), issued) - round_half_even(
        paid * before, issued
    )
