"""`python -m tests.deploy.monitoring.pictures`: the dashboards' panels as pictures, from real data.

Drawn by matplotlib out of the panels' own queries, where no Grafana is at hand: the pipeline runs
for some minutes under the demo's load, one worker is killed half-way.
"""

import argparse
import json
import math
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import DateFormatter
from matplotlib.figure import Figure
from PIL import Image

from deploy.grafana.generate import FOLDER
from deploy.servers.find import open_servers
from tests.deploy.monitoring.query import ask, expression
from tests.deploy.monitoring.watched import watched

PICTURES: Final = FOLDER.with_name("pictures")
_RATE: Final = "15s"
_COLUMNS: Final = 24
_INCH: Final = 0.62
"""Of a grid cell's width; its height is 0.3."""
_MOST_NAMED: Final = 8
_COLORS: Final = 64
"""Of a picture: a quarter of the bytes, and nobody sees it."""


def draw(model: dict[str, Any], prometheus: str, start: float, end: float, path: Path) -> None:
    """A dashboard over a span of time, laid out as in Grafana."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in model["panels"])
    figure = Figure(figsize=(_COLUMNS * _INCH, rows * 0.3 + 0.4), dpi=70)
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(model["title"], x=0.01, ha="left", weight="bold")
    for panel in model["panels"]:
        place = panel["gridPos"]
        top = 0.97 * (1 - place["y"] / rows)
        if panel["type"] == "row":
            figure.text(0.01, top - 0.02, panel["title"], weight="bold", size=9)
            continue
        height, width = 0.97 * place["h"] / rows, place["w"] / _COLUMNS
        box = (place["x"] / _COLUMNS + 0.03, top - height * 0.86, width - 0.045, height * 0.68)
        axis: Any = figure.add_axes(box)
        axis.set_title(f"{panel['title']} ({panel['fieldConfig']['defaults']['unit']})", size=7)
        _panel(axis, panel, prometheus, start, end)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), pixels).convert("RGB")
    drawn.quantize(_COLORS).save(path, optimize=True)


def _panel(axis: Any, panel: dict[str, Any], prometheus: str, start: float, end: float) -> None:
    found: list[tuple[str, Any]] = []
    for target in panel["targets"]:
        expr = expression(target["expr"], _RATE)
        span = {"start": str(start), "end": str(end), "step": "1"}
        answer = ask(prometheus, "query_range", query=expr, **span)
        for each in answer["result"]:
            values = [(at, value) for at, value in each["values"] if value != "NaN"]
            if values:  # a quantile of nothing is not a number: of routes that nobody asked
                found.append((_name(target, each["metric"]), values))
    if panel["type"] == "stat":
        axis.axis("off")
        value = float(found[0][1][-1][1]) if found else math.nan
        axis.text(0.5, 0.4, f"{value:,.4g}", ha="center", va="center", size=14)
        return
    if panel["type"] == "heatmap":
        found = _by_bucket(found)
    found.sort(key=lambda each: -float(each[1][-1][1]))
    for name, values in found[:_MOST_NAMED]:
        times = [datetime.fromtimestamp(at, UTC) for at, _ in values]
        axis.plot(times, [float(value) for _, value in values], label=name, linewidth=0.9)
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_formatter(DateFormatter("%H:%M"))  # type: ignore[no-untyped-call]
    axis.tick_params(labelsize=6)
    if found:
        axis.legend(fontsize=5, loc="upper left", framealpha=0.5)


def _by_bucket(found: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """What each bucket holds alone, of cumulative ones."""
    found.sort(key=lambda each: float(each[0]))
    before: dict[float, float] = {}
    alone = []
    for name, values in found:
        upto = {at: float(value) for at, value in values}
        own = [(at, value - before.get(at, 0.0)) for at, value in upto.items()]
        before = upto
        if any(value for _, value in own):
            alone.append((f"≤ {name}", own))
    return alone


def _name(target: dict[str, Any], labels: dict[str, str]) -> str:
    name: str = target["legendFormat"]
    for label, value in labels.items():
        name = name.replace("{{" + label + "}}", value)
    return name


def main() -> None:
    """Run, watch, draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--folder", type=Path, default=PICTURES)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_servers("embedded") as servers,
        watched(servers, "shown.", Path(folder)) as found,
    ):
        start = time.time()
        end, half = start + 60 * given.minutes, start + 30 * given.minutes
        while time.time() < end:
            found.poll()
            if half and time.time() > half:
                half = 0
                found.pipeline.kill("rating")
            time.sleep(0.1)
        for path in sorted(FOLDER.glob("*.json")):
            model = json.loads(path.read_text())
            draw(model, found.prometheus, start + 15, end, given.folder / f"{path.stem}.png")


if __name__ == "__main__":
    main()
