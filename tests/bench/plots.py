"""One picture of the figures: contenders, latency by rate, growth. Needs matplotlib."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tests.bench.session import Row, Section

_INCHES: Final = (6.0, 4.0)
_PERCENTILES: Final = ("p50", "p99", "p99.9")


def plot(sections: Mapping[str, Section], path: Path) -> None:
    """Draw those of the sections that can be drawn, side by side."""
    drawn = [name for name in _DRAW if name in sections]
    count = max(len(drawn), 1)
    figure = Figure(figsize=(_INCHES[0] * count, _INCHES[1]))
    FigureCanvasSVG(figure)
    axes = figure.subplots(1, count, squeeze=False)
    for axis, name in zip(axes[0], drawn, strict=False):
        axis.set_title(sections[name].title)
        _DRAW[name](axis, sections[name].rows)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def _bars(axis: Any, names: list[str], rates: list[int]) -> None:
    bars = axis.barh(names[::-1], rates[::-1])
    axis.bar_label(bars, labels=[f" {rate:,}" for rate in rates[::-1]])
    axis.set_xlabel("events/s")
    axis.margins(x=0.2)


def _contenders(axis: Any, rows: list[Row]) -> None:
    ran = [row for row in rows if "events/s" in row]
    _bars(axis, [row["contender"] for row in ran], [row["events/s"] for row in ran])


def _loads(axis: Any, rows: list[Row]) -> None:
    _bars(axis, [row["load"] for row in rows], [row["events/s"] for row in rows])


def _latency(axis: Any, rows: list[Row]) -> None:
    for name in _PERCENTILES:
        axis.plot([row["events/s"] for row in rows], [row[name] for row in rows], "o-", label=name)
    axis.set_xlabel("events/s")
    axis.set_ylabel("milliseconds")
    axis.set_ylim(bottom=0)
    axis.legend()


def _growth(axis: Any, rows: list[Row]) -> None:
    names = [f"{row['accounts']:,} by {row['workers a stage']}" for row in rows]
    axis.bar(names, [row["CPU-s per million"] for row in rows])
    axis.set_xlabel("accounts by workers a stage")
    axis.set_ylabel("CPU-s per million events")


_DRAW: Final[dict[str, Callable[[Any, list[Row]], None]]] = {
    "throughput": _loads,
    "alternatives": _contenders,
    "latency": _latency,
    "growth": _growth,
}
