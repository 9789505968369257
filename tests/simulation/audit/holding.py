"""What each grant holds at each posting, and which of them count as active (credits.md 6, 7)."""

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from schemas.times import parse_instant
from tests.simulation.audit.reading import Row
from tests.simulation.audit.terms import Terms

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
    """All grants by account, as of the postings applied so far; `rose`: who has got credits."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Held]] = defaultdict(dict)
        self.rose: set[str] = set()

    def post(self, row: Row) -> None:
        """One posting of a grant, the next in the ledger."""
        grants = self.of[row["account"]]
        held = grants.setdefault(row["grant"], Held(len(grants)))
        held.post(row["posting"], Fraction(row["amount"]))
        if (row["posting"] in ADDS | {"released"}) == (row["amount"] > 0):
            self.rose.add(row["account"])

    def began(self, account: str, since: int, clock: int, terms: Terms) -> bool:
        """Whether a grant has become effective after `since`, be it ended by now."""
        return any(
            since < effective_from(terms, account, name) <= clock for name in self.of[account]
        )

    def active(self, account: str, clock: int, terms: Terms) -> list[Held]:
        """The grants that count as active at journal time; `terms.plain` must hold for them."""
        return [
            held
            for name, held in self.of[account].items()
            if held.ended is None and effective_from(terms, account, name) <= clock
        ]


def effective_from(terms: Terms, account: str, grant: str) -> int:
    """When a grant becomes effective: as its document says; others are as they are issued."""
    known = terms.grants.get((account, grant), ())
    return max((parse_instant(each["effective_at"]) for each in known), default=0)
