"""An auditor of balances: it knows the postings and the alerts alone, and compares with the rows.

It keeps its own books by the table of `projections.balances.postings`, and shares no code with what
it audits.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from projections.balances.alerts import DEPLETED, LOW, RECOVERED, Alert
from projections.balances.books import Books
from projections.balances.measures import alert_scopes
from projections.balances.postings import Posting
from projections.balances.row import ACCOUNT, BalanceRow, GrantRow
from projections.balances.step import Step
from projections.balances.wire import TallyRow, decode_row
from tests.projections.holds_auditor import HoldsAuditor

_TRANSFERS: Final = {
    "issued": ("", "remaining"),
    "adjusted": ("", "remaining"),
    "received": ("", "remaining"),
    "consumed": ("remaining", "consumed"),
    "reopened": ("expired", "consumed"),
    "repaid": ("remaining", "consumed"),
    "expired": ("remaining", "expired"),
    "rolled_over": ("remaining", "rolled_over"),
    "voided": ("remaining", "voided"),
    "refunded": ("remaining", "refunded"),
}
"""Each posting of a grant: out of which part, into which; "" is the outside."""
_RESERVES: Final = {"held": 1, "released": -1}
"""Postings between the two parts of a grant's remainder: how they move the reserved one."""
_PARTS: Final = ("remaining", "consumed", "expired", "rolled_over", "voided", "refunded")


@dataclass
class Auditor:
    """What the postings and alerts say up to here, by account."""

    grants: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    owed: dict[str, Counter[str]] = field(default_factory=dict)
    moved: dict[tuple[str, int, int, int], int] = field(default_factory=dict)
    tallied: dict[str, Counter[str]] = field(default_factory=dict)
    beyond: set[str] = field(default_factory=set)
    low: set[tuple[str, str | None, str | None, str | None]] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    clocks: Counter[str] = field(default_factory=Counter)
    holds: HoldsAuditor = field(default_factory=HoldsAuditor)

    def check(self, step: Step, books: Books) -> None:
        """After one rated row."""
        for posting in step.postings:
            self._post(posting)
            assert self.clocks[posting.account] <= posting.at, posting
            self.clocks[posting.account] = posting.at
        for account in {posting.account for posting in step.postings} | set(self.grants):
            row = books.account(account)
            assert row is not None
            self._check_row(row, books)
        self.holds.check(step, books)
        for alert in step.alerts:
            self._hear(alert)
        self._forget(books)

    def _post(self, posting: Posting) -> None:
        account, amount = posting.account, posting.amount
        if posting.grant is not None and posting.posting in _RESERVES:
            parts = self.grants[account][posting.grant]
            parts["held"] += _RESERVES[posting.posting] * amount
            assert amount > 0, posting
            assert 0 <= parts["held"] <= parts["remaining"], posting
        elif posting.grant is not None:
            source, target = _TRANSFERS[posting.posting]
            parts = self.grants.setdefault(account, {}).setdefault(posting.grant, Counter())
            parts[target] += amount
            if source:
                parts[source] -= amount
            else:
                parts["issued"] += amount
        owed = self.owed.setdefault(account, Counter())
        if posting.posting == "overage":
            assert posting.line is not None
            owed[posting.line["contract"] or ""] += amount
        elif posting.posting in ("settled", "repaid"):
            owed[posting.contract or ""] -= amount

    def _check_row(self, row: BalanceRow, books: Books) -> None:
        mine = self.grants.get(row.account, {})
        here = {grant.id: grant for grant in row.grants}
        gone = {name: self._retired(row, name, books) for name in mine if name not in here}
        assert (row.retired, row.retired_consumed) == (
            len(gone),
            sum(grant.consumed for grant in gone.values()),
        )
        for name, grant in (here | gone).items():
            parts = mine[name]
            held = {part: getattr(grant, part) for part in _PARTS}
            assert held == {part: parts[part] for part in _PARTS}, (row.account, name)
            assert grant.issued == parts["issued"] == sum(held.values()), (row.account, name)
            assert min(held.values()) >= 0, (row.account, name)
            assert grant.held == parts["held"], (row.account, name)
            assert 0 <= grant.held <= grant.remaining, (row.account, name)
        owed = self.owed.get(row.account, Counter())
        for scope, counted in row.scopes.items():
            of_scope = sum(due.amount for place, due in row.owed.items() if place[0] == scope)
            assert counted.overage == owed[scope] == of_scope, (row.account, scope)
        assert row.overage == sum(owed.values())

    def _retired(self, row: BalanceRow, name: str, books: Books) -> GrantRow:
        found = books.retired(row.account, name)
        assert found is not None, (row.account, name)
        return found.grant

    def _hear(self, alert: Alert) -> None:
        """No two of one id; each low is followed by its recovered before the next low."""
        assert alert.id not in self.told, alert
        self.told.add(alert.id)
        key = (alert.account, alert.contract, alert.rule, alert.threshold)
        if alert.type == LOW:
            assert key not in self.low, alert
            self.low.add(key)
        elif alert.type == RECOVERED:
            assert key in self.low, alert
            self.low.remove(key)
        elif alert.type == DEPLETED:
            assert alert.available == 0, alert

    def _forget(self, books: Books) -> None:
        """Thresholds that are gone: should they come back, they begin armed."""
        kept = set()
        for account in {key[0] for key in self.low}:
            row = books.account(account)
            assert row is not None
            for scope, rules in alert_scopes(row):
                contract = None if scope == ACCOUNT else scope
                kept |= {
                    (account, contract, rule.id, text)
                    for rule in rules
                    for text, _ in rule.thresholds
                }
        self.low &= kept


def tallied(rows: dict[str, bytes]) -> dict[str, Counter[str]]:
    """What the tallies of stored rows hold of each grant, by account; none of it negative."""
    sums: dict[str, Counter[str]] = {}
    for name, raw in rows.items():
        if name.startswith("k:"):
            tally = decode_row(raw)
            assert isinstance(tally, TallyRow)
            assert all(amount > 0 for amount in tally.drawn.values()), name
            account = name[2:].partition("|")[0]
            sums.setdefault(account, Counter()).update(tally.drawn)
    return sums
