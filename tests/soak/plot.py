"""A soak as a picture: memory, lag and latency over time, and where the faults struck."""

from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.latency import WINDOW_SECONDS
from tests.soak.run import Course
from tests.soak.sampling import PROCESSES, STAGES

_PERCENTILES: Final = {"p50": 500, "p99": 990, "p99.9": 999}
_COLOURS: Final = {"kill": "tab:red", "pause": "tab:purple", "restart": "tab:brown"}
_INCHES: Final = (12, 9)


def draw(course: Course, path: Path) -> None:
    """Write the picture; the suffix of `path` says in which format."""
    mpl.rcParams["svg.hashsalt"] = "soak"  # the same figures, the same file
    figure = Figure(figsize=_INCHES, layout="constrained")
    memory, lag, latency = figure.subplots(3, 1, sharex=True)
    _memory(course, memory)
    _lag(course, lag)
    _latency(course, latency)
    for axes in (memory, lag, latency):
        _faults(course, axes)
        axes.grid(alpha=0.3)
        axes.margins(x=0)
    for axes in (memory, lag):
        axes.legend(loc="upper left", ncols=5, fontsize="small")
    latency.legend(loc="upper left", ncols=6, fontsize="small")
    latency.set_xlabel("minutes")
    options = course.options
    figure.suptitle(
        f"{options.rate:,} events/s on {options.kind} servers, {len(course.struck)} faults"
    )
    figure.savefig(path)


def _memory(course: Course, axes: Axes) -> None:
    for name in PROCESSES:
        seen = [each for each in course.memory if name in each.values]
        sizes = [each.values[name] / 1024 for each in seen]
        axes.plot([each.second / 60 for each in seen], sizes, label=name, linewidth=1)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("resident, MB")


def _lag(course: Course, axes: Axes) -> None:
    minutes = [each.second / 60 for each in course.lag]
    for stage in STAGES:
        behind = [each.values[stage] for each in course.lag]
        axes.plot(minutes, behind, label=f"{stage}, records of its input", linewidth=1)
    axes.set_yscale("symlog", linthresh=10)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("lag")


def _latency(course: Course, axes: Axes) -> None:
    windows = sorted(course.windows.items())
    middles = [(at - course.start + WINDOW_SECONDS / 2) / 60 for at, _ in windows]
    for name, per_mille in _PERCENTILES.items():
        axes.plot(
            middles, [each.percentile(per_mille) for _, each in windows], label=name, linewidth=1
        )
    axes.set_yscale("log")
    axes.set_ylabel("record to balance, ms")


def _faults(course: Course, axes: Axes) -> None:
    """A line for each; each way is told once in the legend."""
    told: set[str] = set()
    for fault in course.struck:
        way = fault.name.partition(" ")[0]
        axes.axvline(
            fault.at / 60,
            color=_COLOURS[way],
            linewidth=0.8,
            linestyle=":",
            label=None if way in told else way,
        )
        told.add(way)
