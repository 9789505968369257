"""What is owed: what a mode denies, the cap, and what a billing period adds (credits.md 5)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from tests.simulation.audit.lines import Line
from tests.simulation.audit.periods import period_end
from tests.simulation.audit.reading import Row
from tests.simulation.audit.terms import Fields, Terms, span

CAPPED: Final = "credits.overage.capped"
DUE: Final = "credits.overage.due"
_LOWERS: Final = {"repaid", "settled"}
Scope = tuple[str, str | None]


@dataclass
class _Debt:
    """Of a contract or of none; `ends` is the end of the billing period of what was added."""

    owed: Fraction = Fraction(0)
    added: Fraction = Fraction(0)
    ends: int | None = None
    since: int | None = None
    capped: bool = False


class Debts:
    """What each scope owes, as of the postings so far; a cap may be a part of what was `funded`."""

    def __init__(self, funded: Mapping[Scope, Fraction]) -> None:
        self.of: dict[Scope, _Debt] = {}
        self._funded = funded

    def denied(self, line: Line, terms: Terms) -> bool:
        """Whether the mode denies the line; what leaves no overage is denied by none."""
        told = line.terms(terms).get("overage") or {}
        mode, scope = told.get("mode", "allow"), (line.account, line.contract)
        if line.owed <= 0 or mode == "allow":
            return False
        debt = self.of.get(scope, _Debt())
        if mode == "grace":
            since = debt.since if debt.owed > 0 else None
            return since is not None and line.at >= since + span(told["grace"])
        return mode == "block" or debt.owed + line.owed > self._cap(scope, told)

    def _cap(self, scope: Scope, told: Fields) -> Fraction:
        cap = told["cap"]
        if isinstance(cap, dict):
            return self._funded.get(scope, Fraction(0)) * Fraction(cap["percent"]) / 100
        return Fraction(cap)

    def draw(self, line: Line, terms: Terms) -> None:
        """A line was drawn, with what it owes or returns."""
        if line.owed:
            debt = self._move((line.account, line.contract), line.owed, line.at)
            debt.added += line.owed
            if debt.ends is None:
                debt.ends = period_end(line.at, *_billing(line.account, line.contract, terms))

    def post(self, row: Row) -> None:
        """Another posting: what was repaid or settled is not owed."""
        if row["posting"] in _LOWERS:
            self._move((row["account"], row["contract"]), -Fraction(row["amount"]), row["at"])

    def _move(self, scope: Scope, amount: Fraction, at: int) -> _Debt:
        debt = self.of.setdefault(scope, _Debt())
        before, debt.owed = debt.owed, debt.owed + amount
        if before <= 0 < debt.owed:
            debt.since = at
        return debt

    def ends(self, account: str, clock: int) -> Iterator[tuple[int, Fields]]:
        """The billing periods that have ended by `clock`, and what is to be told of each, when."""
        for (owner, contract), debt in self.of.items():
            if owner == account and debt.ends is not None and debt.ends <= clock:
                at, added = debt.ends, debt.added
                debt.ends, debt.added = None, Fraction(0)
                if added:
                    yield at, {"type": DUE, "contract": contract, "amount": added}

    def capped(self, account: str, terms: Terms, clock: int) -> Iterator[Fields]:
        """After a step: the caps that are reached, once until the overage was below them."""
        for scope, debt in self.of.items():
            if scope[0] != account:
                continue
            told = terms.now(*scope, clock).get("overage") or {}
            cap = self._cap(scope, told) if told.get("mode") == "cap" else None
            capped = cap is not None and 0 < debt.owed >= cap
            if capped and not debt.capped:
                about = {"threshold": cap, "amount": debt.owed}
                yield {"type": CAPPED, "contract": scope[1]} | about
            debt.capped = capped


def _billing(account: str, contract: str | None, terms: Terms) -> tuple[str, Any]:
    zone = terms.accounts[account].get("time_zone", "UTC")
    if contract is None:
        return zone, None
    return zone, terms.contracts[account, contract].revisions[0][1].get("billing")
