"""What the stored rows of drawdown hold of each account, however damaged they may be. Pure.

A row that is missing is left out here: folding the log again (I4) names it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from projections.balances.books import decode_account, hold_key, hot_key
from projections.balances.hold_rows import HoldRow, OpenHoldsRow
from projections.balances.row import BalanceRow, GrantRow
from projections.balances.wire import RetiredRow, TallyRow, decode_row


@dataclass(slots=True)
class Held:
    """One account: its row, and what others hold of it.

    `retired` are the grants that have left the row, `drawn` is what tallies hold of each grant,
    `holds` are those that are remembered, by id, and `open_holds` the ids that the index has.
    """

    row: BalanceRow
    retired: list[GrantRow] = field(default_factory=list)
    drawn: dict[str, int] = field(default_factory=dict)
    holds: dict[str, HoldRow] = field(default_factory=dict)
    open_holds: list[tuple[int, str]] = field(default_factory=list)

    @property
    def grants(self) -> list[GrantRow]:
        """Every grant that was ever issued."""
        return [*self.row.grants, *self.retired]

    @property
    def reserved(self) -> dict[str, int]:
        """What open holds hold of each grant."""
        sums: dict[str, int] = {}
        for hold in self.holds.values():
            for grant, amount in hold.slices if hold.ended_at is None else ():
                sums[grant] = sums.get(grant, 0) + amount
        return sums

    @property
    def due(self) -> Iterator[tuple[int, str]]:
        """When something of a row is due, and its key."""
        name = self.row.account
        if self.row.due is not None:
            yield self.row.due, hot_key(name)
        for hold, row in self.holds.items():
            if row.forgotten_at is not None:
                yield row.forgotten_at, hold_key(name, hold)


def held_accounts(rows: Mapping[str, bytes]) -> dict[str, Held]:
    """The accounts among `rows`, by name."""
    accounts = {}
    for key in rows:
        if key.startswith("a:") and (row := decode_account(key[2:], rows.get)) is not None:
            accounts[row.account] = Held(row)
    for key, raw in rows.items():
        name, _, own = key[2:].partition("|")
        account = accounts.get(name)
        if account is not None and key.startswith(("g:", "k:", "h:", "o:")):
            _add(account, own, raw)
    return accounts


def _add(account: Held, name: str, raw: bytes) -> None:
    """What one more row holds of an account; `name` is what its key says beside the account."""
    own = decode_row(raw)
    if isinstance(own, RetiredRow):
        account.retired.append(own.grant)
    elif isinstance(own, HoldRow):
        account.holds[name] = own
    elif isinstance(own, OpenHoldsRow):
        account.open_holds = own.ends
    elif isinstance(own, TallyRow):
        for grant, amount in own.drawn.items():
            account.drawn[grant] = account.drawn.get(grant, 0) + amount
