"""Would a line be paid for, and may it be? The one answer of the fold and of `check`. Pure.

credits.md section 5: a line always draws by section 4; whether it was authorised is said beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from projections.balances.burn import Draw, Slice, slices_for
from projections.balances.limits import Use
from projections.balances.row import BalanceRow
from projections.balances.terms import cap_of, terms_at
from schemas.numbers import QUANTITY_DECIMALS, round_half_even

_ONE: Final = 10**QUANTITY_DECIMALS


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a line of positive cost would be paid; `why` it is denied, None where it is allowed.

    `short` is what no grant pays, `overage` the same after the multiplier.
    """

    slices: list[Slice]
    short: int
    overage: int
    why: str | None


def authorise(row: BalanceRow, ask: Draw, cost: int, limits: Sequence[Use]) -> Verdict:
    """The verdict on a line of `cost` > 0; changes nothing."""
    slices, short = slices_for(row, ask, cost)
    terms = terms_at(row, ask.scope, ask.time).overage
    owed = round_half_even(short * terms.multiplier, _ONE)
    why = next((f"limit {use.limit.id}" for use in limits if use.passed_by(cost)), None)
    if why is None and short:
        why = _denial(row, ask, owed)
    return Verdict(slices, short, owed, why)


def _denial(row: BalanceRow, ask: Draw, owed: int) -> str | None:
    terms = terms_at(row, ask.scope, ask.time).overage
    scope = row.scopes[ask.scope]
    if terms.mode == "block":
        return "block"
    if terms.mode == "cap":
        cap = cap_of(terms, scope)
        assert cap is not None, terms
        return "cap" if scope.overage + owed > cap else None
    if terms.mode == "grace" and scope.started_at is not None:
        assert terms.grace is not None, terms
        return "grace" if ask.clock >= scope.started_at + terms.grace else None
    return None
