"""A soak on paper: memory, lag, latency and faults as CSV, and a summary in Markdown."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from tests.latency import Histogram, merged
from tests.soak.figures import (
    Quarters,
    Recovery,
    quarters,
    quiet,
)
from tests.soak.run import Course
from tests.soak.sampling import HARNESS, PROCESSES, STAGES, Sample
from tests.soak.verdict import Check, judge, recoveries

_PERCENTILES: Final = {"p50": 500, "p99": 990, "p99.9": 999}
_VERDICTS: Final = {True: "yes", False: "**NO**", None: "too short to tell"}
Row = Sequence[object]


def write(course: Course, folder: Path) -> None:
    """`summary.md`, and as CSV: memory in kilobytes, lag, latency, its longest, faults."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.md").write_text(summary(course), encoding="utf-8")
    _write_samples(folder / "memory.csv", (*PROCESSES, *HARNESS), course.memory)
    _write_samples(folder / "lag.csv", STAGES, course.lag)
    windows = (
        [at - course.start, each.count, *_percentiles(each), each.longest]
        for at, each in sorted(course.windows.items())
    )
    header = ["second", "events", *(f"{name}_ms" for name in _PERCENTILES), "longest_ms"]
    _write_csv(folder / "latency.csv", header, windows)
    seconds = ([at - course.start, longest] for at, longest in sorted(course.worst.items()))
    _write_csv(folder / "longest.csv", ["second", "longest_ms"], seconds)
    faults = (
        [each.fault.name, f"{each.fault.at:.1f}", f"{each.fault.until:.1f}", *_recovered(each)]
        for each in recoveries(course)
    )
    header = ["fault", "second", "until", "recovered_seconds", "longest_ms"]
    _write_csv(folder / "faults.csv", header, faults)


def passed(course: Course) -> bool:
    """No check has failed."""
    return all(check.holds is not False for check in judge(course))


def summary(course: Course) -> str:
    """What a reader wants to know, most important first."""
    options, sent = course.options, course.sent
    title = (
        f"# Soak: {course.seconds / 60:.0f} minutes at {options.rate:,} events/s\n\n"
        f"{options.kind} servers, {options.partitions} partitions, {options.accounts:,} accounts,"
        f" seed {options.seed}; {sent.events:,} records sent ({sent.repeats:,} copies,"
        f" {sent.bad:,} bad), {sent.documents:,} top-ups and amendments, {len(course.struck)}"
        f" faults, {course.log_bytes // 1_000_000:,} MB of logs."
    )
    if course.report is not None:
        took, cpu = course.report.seconds, course.reconcile_cpu_seconds
        title += f" Reconciled in {took:.0f} s ({cpu:.0f} s of CPU)."
    sections = [
        title,
        _table(("check", "holds", "found"), map(_check, judge(course))),
        _table(
            ("recovery from", "times", "median s", "longest s", "longest wait ms"), _by_kind(course)
        ),
        _table(("latency, ms", "events", *_PERCENTILES, "longest"), _latency(course)),
        _table(("memory, MB", "first quarter", "last quarter", "largest"), _memory(course)),
        _table(("lag, records", "first quarter", "last quarter"), _lag(course)),
    ]
    return "\n\n".join(sections) + "\n"


def _check(check: Check) -> Row:
    return check.says, _VERDICTS[check.holds], check.found


def _by_kind(course: Course) -> Iterator[Row]:
    found = recoveries(course)
    for name in sorted({each.fault.name for each in found}):
        of_kind = [each for each in found if each.fault.name == name]
        known = [each.seconds for each in of_kind if each.seconds is not None]
        times = f"{len(of_kind)}" + ("" if len(known) == len(of_kind) else " (not all)")
        middle, most = (median(known), max(known)) if known else (0.0, 0.0)
        yield name, times, f"{middle:.1f}", f"{most:.1f}", max(each.longest for each in of_kind)


def _latency(course: Course) -> Iterator[Row]:
    calm = quiet(course.windows, recoveries(course), course.start, course.seconds)
    quarter = course.seconds / 4
    parts = {
        "all": merged(course.windows.values()),
        "quiet": merged(calm.values()),
        "quiet, first quarter": merged(each for at, each in calm.items() if at < quarter),
        "quiet, last quarter": merged(each for at, each in calm.items() if at >= 3 * quarter),
    }
    for name, histogram in parts.items():
        yield name, f"{histogram.count:,}", *_percentiles(histogram), histogram.longest


def _memory(course: Course) -> Iterator[Row]:
    for name in (*PROCESSES, *HARNESS):
        found = quarters(course.memory, course.seconds, name)
        largest = max((each.values.get(name, 0) for each in course.memory), default=0)
        yield name, *_shown(found, 1024), f"{largest / 1024:,.0f}"


def _lag(course: Course) -> Iterator[Row]:
    for stage in STAGES:
        yield stage, *_shown(quarters(course.lag, course.seconds, stage), 1)


def _shown(found: Quarters, unit: int) -> list[str]:
    both = (found.first, found.last)
    return ["" if each is None else f"{each / unit:,.0f}" for each in both]


def _percentiles(histogram: Histogram) -> list[int]:
    return [histogram.percentile(per_mille) for per_mille in _PERCENTILES.values()]


def _recovered(found: Recovery) -> Row:
    return "" if found.seconds is None else f"{found.seconds:.1f}", found.longest


def _table(header: Row, rows: Iterable[Row]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _write_samples(path: Path, names: Sequence[str], samples: Iterable[Sample]) -> None:
    rows = ([f"{s.second:.1f}", *(s.values.get(name, "") for name in names)] for s in samples)
    _write_csv(path, ["second", *names], rows)


def _write_csv(path: Path, header: Row, rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
