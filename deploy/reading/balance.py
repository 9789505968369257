"""One account's balance, as of a stated position: what `drawdown balance` shows."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from deploy.reading.fixed import FixedRows, read_fixed
from deploy.reading.surroundings import Surroundings
from projections.balances.books import decode_account, retired_grants
from projections.balances.stage import STAGE
from projections.balances.summary import summarise
from schemas.times import format_instant

GRANT_COLUMNS: Final = (
    "id",
    "type",
    "contract",
    "issued",
    "consumed",
    "expired",
    "rolled_over",
    "voided",
    "refunded",
    "remaining",
    "state",
)


def read_balance(around: Surroundings, account: str) -> dict[str, Any] | None:
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


def show(entry: dict[str, Any], console: Console) -> None:
    """Print the totals and a line for each grant."""
    console.print(
        f"{entry['account']}: available {entry['available']}, consumed {entry['consumed']},"
        f" overage {entry['overage']}",
        markup=False,
        highlight=False,
    )
    shown = [name for name in GRANT_COLUMNS if _says(entry["grants"], name)]
    table = Table(*shown)
    for grant in entry["grants"]:
        table.add_row(*(str(grant.get(name) or "") for name in shown))
    console.print(table)
    place = ":".join(map(str, entry["position"]))
    console.print(
        f"journal time {entry['journal_time']}, partition {entry['partition']}, position {place}",
        highlight=False,
    )


def _says(grants: list[dict[str, Any]], column: str) -> bool:
    """Whether a column says anything: few accounts have contracts, rollovers, voids, refunds."""
    seldom = ("contract", "rolled_over", "voided", "refunded")
    return column not in seldom or any(grant.get(column) not in (None, "0") for grant in grants)
