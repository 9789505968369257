"""What `drawdown balance` shows."""

from typing import Any, Final

from rich.console import Console
from rich.table import Table

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
    "held",
    "remaining",
    "state",
)


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
    """Whether a column says anything: few accounts have contracts, rollovers, voids, holds."""
    seldom = ("contract", "rolled_over", "voided", "refunded", "held")
    return column not in seldom or any(grant.get(column) not in (None, "0") for grant in grants)
