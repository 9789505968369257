"""What each grant holds at each posting (credits.md section 6)."""

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from tests.simulation.audit.reading import Row

ADDS: Final = {"issued", "adjusted", "received"}
TAKES: Final = {"consumed", "repaid", "expired", "rolled_over", "voided", "refunded"}
BEGINS: Final = {"issued", "received"}
_USES: Final = {"consumed", "reopened", "repaid"}
_ENDS: Final = {"expired", "voided", "refunded"}
_RESERVES: Final = {"held": 1, "released": -1}


@dataclass
class Held:
    """One grant by its postings: what is left of it, has expired, and was used.

    `held` is the part of what is left that holds reserve, `number` counts the grants as they were
    issued, `ended` is the posting that ended it.
    """

    number: int = 0
    issued: Fraction = Fraction(0)
    left: Fraction = Fraction(0)
    expired: Fraction = Fraction(0)
    used: Fraction = Fraction(0)
    held: Fraction = Fraction(0)
    ended: str | None = None
    rolled: bool = False

    def post(self, posting: str, amount: Fraction) -> None:
        """One transfer."""
        if posting in ADDS:
            self.left += amount
            self.issued += amount
        elif posting in TAKES:
            self.left -= amount
        if posting in _ENDS and self.ended is None:
            self.ended = posting
        if posting == "expired":
            self.expired += amount
        if posting == "reopened":
            self.expired -= amount
        if posting in _USES:
            self.used += amount
        self.held += amount * _RESERVES.get(posting, 0)

    @property
    def sound(self) -> bool:
        """Never more leaves than came, nor more is reopened than expired, nor held than is left.

        Of a grant that has ended only what is held is left.
        """
        ended = self.ended is None or self.left == self.held
        return min(self.free, self.held, self.expired, self.used) >= 0 and ended

    @property
    def free(self) -> Fraction:
        """What is left and not held."""
        return self.left - self.held


class Holdings:
    """All grants by account, as of the postings applied so far; `rose`: those that got credits."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Held]] = defaultdict(dict)
        self.rose: set[tuple[str, str]] = set()

    def post(self, row: Row) -> None:
        """One posting of a grant, the next in the ledger."""
        grants = self.of[row["account"]]
        held = grants.setdefault(row["grant"], Held(len(grants)))
        held.post(row["posting"], Fraction(row["amount"]))
        if (row["posting"] in ADDS | {"released"}) == (row["amount"] > 0):
            self.rose.add((row["account"], row["grant"]))
