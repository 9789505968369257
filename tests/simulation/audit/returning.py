"""Credits that come back go where the key's tally says (credits.md section 4)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction

from tests.simulation.audit.reading import Row


class Tallies:
    """By account and key: what its lines of a cumulative price drained, and what it owes."""

    def __init__(self) -> None:
        self._drained: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._owed: dict[tuple[str, str], Fraction] = defaultdict(Fraction)

    def repaid(self, row: Row) -> None:
        """A grant has repaid what a key owed."""
        key = (row["account"], row["reference"])
        self._owed[key] -= Fraction(row["amount"])
        self._drained[key][row["grant"]] += Fraction(row["amount"])  # type: ignore[assignment]

    def of(self, line: Row, postings: Sequence[Row]) -> Iterator[str]:
        """A line was paid or gave back: nothing stands as a credit that a grant should have."""
        parts = (line["contract"] or "", line["product"], line["match"], str(line["period"]))
        key = (line["account"], "|".join(parts))
        drained, before = self._drained[key], self._owed[key]
        for row in postings:
            if row["grant"] is None:
                self._owed[key] += Fraction(row["amount"]) if row["posting"] == "overage" else 0
            elif line["before"] is not None:
                drained[row["grant"]] += Fraction(row["amount"])  # type: ignore[assignment]
        left = +drained
        credited = line["before"] is not None and self._owed[key] < min(before, Fraction(0))
        if line["cost"] < 0 and credited and left:
            yield f"key {key} is owed {-self._owed[key]}, and {dict(left)} could come back"
