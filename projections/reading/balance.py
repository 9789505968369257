"""One account's balance, as of a stated position."""

from collections.abc import Sequence
from typing import Any

from projections.balances.books import decode_account, retired_grants
from projections.balances.stage import STAGE
from projections.balances.summary import summarise
from projections.reading.deployment import Deployment
from projections.reading.fixed import FixedRows, read_fixed
from schemas.times import format_instant


def read_balance(around: Deployment, account: str) -> dict[str, Any] | None:
    """The account's entry in the shape of scenario.md, with where it was read; None: no account.

    `journal_time` is that of the last record applied to the account. Raises ConfigurationError
    where the topics do not exist, StoreUnavailable.
    """
    number = around.partition_of(account)

    def ask(readers: Sequence[FixedRows]) -> dict[str, Any] | None:
        return _entry(readers[0], account, number)

    return read_fixed(around.snapshots, number, (STAGE,), ask)


def _entry(rows: FixedRows, account: str, partition: int) -> dict[str, Any] | None:
    def read(key: str) -> bytes | None:
        return rows.read((key,))[0]

    row = decode_account(account, read)
    if row is None:
        return None
    return {
        "account": account,
        **summarise(row, retired_grants(row, read)),
        "journal_time": format_instant(row.clock),
        "partition": partition,
        "position": list(rows.position.reached),
    }
