"""One account's balance, as of a stated position: what `drawdown balance` shows."""

from typing import Any, Final

from rich.console import Console
from rich.table import Table

from deploy.reading.surroundings import Surroundings
from projections.balances.row import decode_row
from projections.balances.stage import STAGE
from projections.balances.summary import summarise
from schemas.errors import ConfigurationError
from schemas.partition import partition_of
from schemas.times import format_instant

GRANT_COLUMNS: Final = ("id", "type", "issued", "consumed", "expired", "remaining", "state")


def read_balance(around: Surroundings, account: str) -> dict[str, Any] | None:
    """The account's entry in the shape of scenario.md, with where it was read; None: no account.

    `journal_time` is that of the last record applied to the account. Raises ConfigurationError
    where the topics do not exist, StoreUnavailable.
    """
    partitions = len(around.partitions())
    if not partitions:
        raise ConfigurationError("the topics do not exist yet: `drawdown topics` creates them")
    number = partition_of(account, partitions)
    taken = around.snapshots.take(number, STAGE, (account,))
    if account not in taken.rows:
        return None
    row = decode_row(taken.rows[account])
    return {
        "account": account,
        **summarise(row),
        "journal_time": format_instant(row.clock),
        "partition": number,
        "position": list(taken.position.reached),
    }


def show(entry: dict[str, Any], console: Console) -> None:
    """Print the totals and a line for each grant."""
    console.print(
        f"{entry['account']}: available {entry['available']}, consumed {entry['consumed']},"
        f" overage {entry['overage']}",
        markup=False,
        highlight=False,
    )
    table = Table(*GRANT_COLUMNS)
    for grant in entry["grants"]:
        table.add_row(*(str(grant[column]) for column in GRANT_COLUMNS))
    console.print(table)
    place = ":".join(map(str, entry["position"]))
    console.print(
        f"journal time {entry['journal_time']}, partition {entry['partition']}, position {place}",
        highlight=False,
    )
