"""`drawdown reconcile`: gather each partition's evidence, prove every invariant, sum it up."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.reading.evidence import Evidence, Gatherer
from deploy.reading.lag import Surroundings, measure
from deploy.reading.prove import PASSES, prove
from deploy.reading.recompute import Progress as Told
from deploy.reading.report import Report
from schemas.errors import ConfigurationError


def reconcile(around: Surroundings, dedupe_window: int, console: Console, seed: int = 0) -> Report:
    """Prove every invariant of every partition, while workers run or not.

    Compares up to the positions that Redis holds, and reports the lag that remains. `seed` draws
    the cuttings of I5 and the ticks of I7; the same seed over the same log draws the same. Raises
    ConfigurationError where the topics do not exist, LogUnavailable, StoreUnavailable.
    """
    started = time.monotonic()
    numbers = around.partitions()
    if not numbers:
        raise ConfigurationError("the topics do not exist yet: `drawdown topics` creates them")
    report = Report()
    for lag in measure(around):
        report.lag[lag.stage] += lag.records
    gatherer = Gatherer(around.log, around.snapshots, around.claims, dedupe_window)
    with _bar(console) as bar:
        for number in numbers:
            task = bar.add_task(f"partition {number}: reading", total=None)
            evidence = gatherer.gather(number)
            bar.update(task, description=f"partition {number}: folding", total=_rows(evidence))
            report.merge(prove(evidence, seed + number, _advance(bar, task)))
            bar.update(task, description=f"partition {number}: done", total=1, completed=1)
    report.seconds = time.monotonic() - started
    return report


def _rows(evidence: Evidence) -> int:
    return PASSES * max(evidence.journal.rows.height, 1)


def _advance(bar: Progress, task: "int") -> Told:
    return lambda rows: bar.advance(task, rows)  # type: ignore[arg-type]


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield bar
