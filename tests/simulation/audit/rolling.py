"""What of a grant lives on when it expires (credits.md section 6)."""

from collections.abc import Iterator
from fractions import Fraction

from tests.simulation.audit.holding import Held
from tests.simulation.audit.prices import rounded
from tests.simulation.audit.reading import Row
from tests.simulation.audit.terms import Fields, Terms


def audit_rolling(row: Row, held: Held, terms: Terms) -> Iterator[str]:
    """Faults in a posting of a grant's end, whose terms a document tells; `held` is before it."""
    grant = terms.told(row["account"], row["grant"])
    if grant is None or held.ended is not None:
        return
    place = f"I3: {row['account']} {row['grant']} at {row['journal_offset']}:{row['row']}"
    if row["posting"] == "rolled_over":
        held.rolled = True
        if Fraction(row["amount"]) != (expected := _rolling(grant, held)):
            yield f"{place} rolls {row['amount']} over, expected {expected}"
    elif row["posting"] == "expired" and not held.rolled and (expected := _rolling(grant, held)):
        yield f"{place} expires, and {expected} should roll over"


def _rolling(grant: Fields, held: Held) -> Fraction:
    """The percentage, then the cap, then the threshold; a grant of a document was never rolled."""
    rule = grant.get("rollover")
    if not rule or rule["mode"] == "none":
        return Fraction(0)
    amount = held.free
    if "percent" in rule:
        base = held.issued if rule.get("of") == "issued" else held.free
        amount = min(amount, rounded(base * Fraction(rule["percent"]) / 100))
    amount = min(amount, Fraction(rule.get("cap", amount)))
    return amount if amount >= Fraction(rule.get("threshold", 0)) else Fraction(0)
