"""The ledger as lines: what one line, fee or capture drew and owes, read from its postings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import Any, Final

from tests.simulation.audit.reading import Row
from tests.simulation.audit.terms import Fields, Terms

OF_LINE: Final = {"consumed", "reopened", "overage"}
_SAME: Final = ("account", "at", "source", "id", "product", "contract", "time", "cost", "match")


@dataclass
class Line:
    """One line; a fee and a capture have no `source`. A fee of no seats has no quantity either."""

    account: str
    contract: str | None
    product: str
    time: int
    at: int
    cost: Fraction
    source: str | None
    id: str
    quantity: Fraction
    fee: bool
    postings: Sequence[Row] = field(repr=False)

    @property
    def owed(self) -> Fraction:
        """What it adds to what is owed, after the multiplier."""
        rows = [row for row in self.postings if row["posting"] == "overage"]
        return sum((Fraction(row["amount"]) for row in rows), Fraction(0))

    @property
    def captured(self) -> bool:
        """Whether it is what a hold captured."""
        return self.source is None and not self.fee

    @property
    def denied(self) -> set[bool]:
        """What its postings say."""
        return {bool(row["unauthorised"]) for row in self.postings}

    def terms(self, terms: Terms) -> Fields:
        """The contract's revision at event time, or the account."""
        if self.contract is None:
            return terms.accounts[self.account]
        return terms.contracts[self.account, self.contract].at(self.time)[1]


def runs(postings: Sequence[Row]) -> Iterator[Line | Row]:
    """Lines, and postings that are of none, in their order."""
    for of_line, rows in groupby(postings, _identity):
        if of_line is None:
            yield from rows
        else:
            found = list(rows)
            one = found[0]
            yield Line(
                one["account"],
                one["contract"],
                one["product"],
                one["time"],
                one["at"],
                Fraction(one["cost"]),
                one["source"],
                one["id"],
                Fraction(one["quantity"]),
                (one["match"] or "").startswith("fee:"),
                found,
            )


def _identity(row: Row) -> tuple[Any, ...] | None:
    if row["posting"] not in OF_LINE:
        return None
    return tuple(row[name] for name in _SAME)
