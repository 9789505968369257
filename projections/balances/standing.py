"""What the accounts of a partition come to: credits, thresholds, money. Pure.

For monitoring. The ledger and `drawdown balance` are the truth of each account.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from projections.balances.row import BalanceRow, GrantRow
from projections.cost_basis import slice_money

PARTS: Final = ("consumed", "remaining", "expired")
"""Of what was paid for a grant: revenue, what is still owed in service, breakage."""


@dataclass
class Standing:
    """Sums over accounts; credits and money are units of 10^-9. Grants ending by `until` expire."""

    until: int
    accounts: int = 0
    low: int = 0
    depleted: int = 0
    overdrawn: int = 0
    available: int = 0
    overage: int = 0
    expiring_grants: int = 0
    expiring: int = 0
    money: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (currency, part)."""

    def add(self, row: BalanceRow) -> None:
        """Count an account and the grants in its row; the retired ones are counted apart."""
        available, overage = row.available, row.overage
        self.accounts += 1
        self.low += any(not grant for _, _, _, grant in row.fired)
        self.depleted += row.issued_grants > 0 and available == 0
        self.overdrawn += overage > 0
        self.available += available
        self.overage += overage
        for grant in row.grants:
            self.add_grant(grant)
            ends = grant.terms.expires_at
            if grant.state == "active" and grant.remaining and ends and ends <= self.until:
                self.expiring_grants += 1
                self.expiring += grant.remaining

    def add_grant(self, grant: GrantRow) -> None:
        """Count what was paid for a grant, retired or not, by what became of its credits."""
        paid, currency = grant.terms.paid, grant.terms.currency
        if not paid or currency is None or grant.issued == 0:
            return
        for part in PARTS:
            units: int = getattr(grant, part)
            self.money[currency, part] += slice_money(paid, grant.issued, 0, units)
