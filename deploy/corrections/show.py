"""A review of backfills, for people."""

from typing import Any, Final

from rich.console import Console
from rich.table import Table

from deploy.corrections.candidates import Excluded
from deploy.corrections.review import Review

SHOWN: Final = 20


def show(review: Review, console: Console) -> None:
    """Print what would change account by account, and the rows that are left out."""
    for effects in review.effects:
        _show_account(effects.to_dict(), console)
    _list("refused", review.candidates.refused, console)
    _list("there already", review.candidates.known, console)
    places = ", ".join(
        f"{number} ({', '.join(f'{of} {_place(at)}' for of, at in at_stages.items())})"
        for number, at_stages in review.positions.items()
    )
    if places:
        _say(console, f"as of partition {places}")


def _show_account(found: dict[str, Any], console: Console) -> None:
    _say(console, f"{found['account']}: {found['events']} events, cost {found['cost']}")
    for name in ("available", "overage"):
        _say(console, f"  {name} {_change(found[name])}")
    if found["grants"]:
        table = Table("grant", "part", "change")
        for grant in found["grants"]:
            for part, change in grant.items():
                if part != "grant":
                    table.add_row(grant["grant"], part, _change(change))
        console.print(table)
    for period in found["closed_periods"]:
        scope = f"contract {period['contract']}" if period["contract"] else "the wallet"
        _say(
            console,
            f"  closed period of {scope}, {period['start']} to {period['end']}:"
            f" cost {period['cost']}, overage {period['overage']}",
        )
    for alert in found["alerts"]:
        about = " ".join(f"{name}={text}" for name, text in alert.items() if name != "type")
        _say(console, f"  alert {alert['type']} {about}")
    for event in found["unrated"]:
        about = " ".join(event.values())
        _say(console, f"  unrated, waits for a replay: {about}")
    for command in found["refused"]:
        _say(console, f"  refused {command['id']}: {command['reason']}")


def _list(what: str, rows: list[Excluded], console: Console) -> None:
    for row in rows[:SHOWN]:
        _say(console, f"{what}: row {row.number}: {row.why}")
    if len(rows) > SHOWN:
        _say(console, f"{what}: {len(rows) - SHOWN:,} more")


def _change(change: dict[str, str]) -> str:
    return f"{change['before']} → {change['after']}"


def _place(position: list[int]) -> str:
    return ":".join(map(str, position))


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
