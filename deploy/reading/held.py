"""What the stored rows of drawdown hold of each account, however damaged they may be. Pure.

A row that is missing is left out here: folding the log again (I4) names it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from projections.balances.books import decode_account
from projections.balances.row import BalanceRow, GrantRow
from projections.balances.wire import RetiredRow, TallyRow, decode_row


@dataclass(frozen=True, slots=True)
class Held:
    """One account: its row, the grants that have left it, and what tallies hold of each grant."""

    row: BalanceRow
    retired: list[GrantRow] = field(default_factory=list)
    drawn: dict[str, int] = field(default_factory=dict)

    @property
    def grants(self) -> list[GrantRow]:
        """Every grant that was ever issued."""
        return [*self.row.grants, *self.retired]


def held_accounts(rows: Mapping[str, bytes]) -> dict[str, Held]:
    """The accounts among `rows`, by name."""
    accounts = {}
    for key in rows:
        if key.startswith("a:") and (row := decode_account(key[2:], rows.get)) is not None:
            accounts[row.account] = Held(row)
    for key, raw in rows.items():
        account = accounts.get(key[2:].partition("|")[0])
        if account is None or not key.startswith(("g:", "k:")):
            continue
        own = decode_row(raw)
        if isinstance(own, RetiredRow):
            account.retired.append(own.grant)
        elif isinstance(own, TallyRow):
            for grant, amount in own.drawn.items():
                account.drawn[grant] = account.drawn.get(grant, 0) + amount
    return accounts
