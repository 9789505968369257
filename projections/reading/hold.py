"""One hold of an account, as of a stated position."""

from collections.abc import Sequence
from typing import Any

from projections.balances.books import decode_hold
from projections.balances.stage import STAGE
from projections.balances.summary import summarise_hold
from projections.reading.deployment import Deployment
from projections.reading.fixed import FixedRows, read_fixed


def read_hold(around: Deployment, account: str, hold: str) -> dict[str, Any] | None:
    """A hold with where it was read; None where there is none, or it ended a day ago.

    An open hold whose time is over is shown as open until the account's next record or tick. Raises
    ConfigurationError where the topics do not exist, StoreUnavailable.
    """
    number = around.partition_of(account)

    def ask(readers: Sequence[FixedRows]) -> dict[str, Any] | None:
        return _entry(readers[0], account, hold, number)

    return read_fixed(around.snapshots, number, (STAGE,), ask)


def _entry(rows: FixedRows, account: str, name: str, partition: int) -> dict[str, Any] | None:
    hold = decode_hold(account, name, lambda key: rows.read((key,))[0])
    if hold is None:
        return None
    return {
        "account": account,
        **summarise_hold(name, hold),
        "partition": partition,
        "position": list(rows.position.reached),
    }
