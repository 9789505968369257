"""The table of results: on the console, as Markdown and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from tests.faults.runner import Result

COLUMNS: Final = ("scenario", "struck", "events", "recovery s (median, most)", "differences", "s")


def shown(results: Sequence[Result], title: str) -> Table:
    """The table so far."""
    table = Table(title=title)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == COLUMNS[0] else "right", overflow="fold")
    for result in results:
        table.add_row(*cells(result), style="" if result.holds else "bold red")
    return table


def cells(result: Result) -> list[str]:
    """One row."""
    name, seconds = result.scenario.name, f"{result.seconds:.0f}"
    if result.outcome is None:
        why = f"left out: {result.left_out}" if result.left_out else "FAILED"
        return [name, "", "", "", why, seconds]
    outcome = result.outcome
    name = f"{name} ({outcome.note})" if outcome.note else name
    return [
        name,
        f"{outcome.struck:,}",
        f"{outcome.events:,}",
        recovery(outcome.recoveries),
        f"{len(outcome.differences):,}",
        seconds,
    ]


def recovery(seconds: Sequence[float]) -> str:
    """Median and most."""
    if not seconds:
        return "-"
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.1f}, {ordered[-1]:.1f}"


def write_report(results: Sequence[Result], title: str, path: Path) -> None:
    """As JSON where the name ends so, otherwise as Markdown."""
    if path.suffix == ".json":
        text = json.dumps({"title": title, "scenarios": [_row(each) for each in results]}, indent=1)
    else:
        lines = [f"# {title}", "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
        text = "\n".join([*lines, *(_line(cells(each)) for each in results)])
    path.write_text(text + "\n", encoding="utf-8")


def _line(parts: Sequence[str]) -> str:
    return f"| {' | '.join(parts)} |"


def _row(result: Result) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "scenario": result.scenario.name,
        "what": result.scenario.what,
        "holds": result.holds,
        "left_out": result.left_out or None,
        "struck": outcome.struck if outcome else None,
        "events": outcome.events if outcome else None,
        "recovery_seconds": [round(each, 2) for each in outcome.recoveries] if outcome else [],
        "note": outcome.note if outcome else "",
        "differences": list(result.differences),
        "seconds": round(result.seconds, 1),
    }
