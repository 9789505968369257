"""Faults on real processes and real servers, each proved to have changed nothing.

    python -m tests.faults [--quick] [--only NAME ...] [--list] [--broker embedded|apache]
                           [--seed N] [--report FILE]

Prints a table while it runs; the status is 1 when anything differs. `--report` writes it as JSON or
Markdown, by the file's name. Without `--broker`: Apache Kafka where it can be started.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from deploy.servers.find import Kind, best_kind, open_servers
from tests.faults.catalogue import SCENARIOS, chosen
from tests.faults.runner import Result, Runner
from tests.faults.scenario import Scenario
from tests.faults.table import cells, shown, write_report

QUIET_SECONDS: Final = 10
"""Between lines of progress where there is no terminal."""


def main() -> int:
    """Parse, run, print; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="what CI runs, and fewer strikes")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", choices=list(SCENARIOS))
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    parser.add_argument("--broker", choices=("embedded", "apache"), default=None)
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--report", type=Path, help="a .json or .md file")
    given = parser.parse_args()
    console = Console()
    if given.list:
        for each in SCENARIOS.values():
            where = f" [{each.needs} only]" if each.needs else ""
            console.print(f"{each.name}: {each.what}{where}", markup=False)
        return 0
    kind: Kind = given.broker or best_kind()
    logging.getLogger("drawdown").setLevel(logging.ERROR)  # workers that end are what is meant
    scenarios = chosen(given.only, kind, quick=given.quick)
    title = f"faults on {kind} servers, seed {given.seed}{', quick' if given.quick else ''}"
    started = time.monotonic()
    results = strike(scenarios, kind, given.seed, title, console, quick=given.quick)
    console.print(f"{sum(each.holds for each in results)} of {len(results)} hold", end=", ")
    console.print(f"{time.monotonic() - started:.0f} s")
    if given.report is not None:
        write_report(results, title, given.report)
    return 0 if all(result.holds for result in results) else 1


def strike(
    scenarios: Sequence[Scenario],
    kind: Kind,
    seed: int,
    title: str,
    console: Console,
    *,
    quick: bool,
) -> list[Result]:
    """Run them all; where there is no terminal, a line each instead of the growing table."""
    results: list[Result] = []
    told_at = 0.0
    with (
        tempfile.TemporaryDirectory(prefix="drawdown-faults-", ignore_cleanup_errors=True) as name,
        open_servers(kind) as servers,
        Live(console=console, auto_refresh=False) as live,
    ):

        def told(scenario: str, line: str) -> None:
            nonlocal told_at
            if console.is_terminal:
                at_hand = Text(f"{len(results) + 1} of {len(scenarios)}, {scenario}: {line}")
                live.update(Group(shown(results, title), at_hand), refresh=True)
            elif time.monotonic() - told_at > QUIET_SECONDS:
                told_at = time.monotonic()
                console.print(f"{scenario}: {line}", markup=False)

        for result in Runner(servers, Path(name), seed, quick, told).run(scenarios):
            results.append(result)
            if not console.is_terminal:
                console.print(" | ".join(cells(result)), markup=False)
            for difference in result.differences:
                live.console.print(
                    f"{result.scenario.name}: {difference}", style="red", markup=False
                )
        live.update(shown(results, title), refresh=True)
    return results


if __name__ == "__main__":
    sys.exit(main())
