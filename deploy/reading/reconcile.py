"""`drawdown reconcile`: gather each partition's evidence, prove every invariant, sum it up.

Partitions have nothing to do with one another: each core proves one at a time, in its own process.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.reading.evidence import Gatherer
from deploy.reading.lag import measure
from deploy.reading.prove import prove
from deploy.reading.report import Findings, Report
from deploy.reading.surroundings import surroundings
from deploy.settings import Settings
from schemas.errors import ConfigurationError


def reconcile(settings: Settings, console: Console, seed: int = 0) -> Report:
    """Prove every invariant of every partition, while workers run or not.

    Compares up to the positions that Redis holds, and reports the lag that remains. `seed` draws
    the cuttings of I5 and the ticks of I7; the same seed over the same log draws the same. Raises
    ConfigurationError where the topics do not exist, LogUnavailable, StoreUnavailable.
    """
    started = time.monotonic()
    around = surroundings(settings)
    numbers = around.partitions()
    if not numbers:
        raise ConfigurationError("the topics do not exist yet: `drawdown topics` creates them")
    report = Report()
    for lag in measure(around):
        report.lag[lag.stage] += lag.records
    found: dict[int, Findings] = {}
    with _bar(console, len(numbers)) as bar, _pool(len(numbers)) as pool:
        tasks = {pool.submit(prove_partition, settings, n, seed + n): n for n in numbers}
        for done in as_completed(tasks):
            found[tasks[done]] = done.result()
            bar.advance(bar.task_ids[0])
    for number in numbers:
        report.merge(found[number])
    report.seconds = time.monotonic() - started
    return report


def prove_partition(settings: Settings, partition: int, seed: int) -> Findings:
    """Gather one partition's evidence and prove it; with connections of its own."""
    around = surroundings(settings)
    window = settings.duration("dedupe_window")
    gatherer = Gatherer(around.log, around.snapshots, around.claims, window)
    return prove(gatherer.gather(partition), seed)


def _pool(partitions: int) -> ProcessPoolExecutor:
    """Fresh processes: neither librdkafka nor Polars survives a fork."""
    workers = min(partitions, os.cpu_count() or 1)
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


@contextmanager
def _bar(console: Console, partitions: int) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        bar.add_task("partitions proved", total=partitions)
        yield bar
