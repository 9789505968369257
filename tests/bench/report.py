"""Writes what was measured: `results.json`, `results.md` and a plot, `results.svg`.

A folder holds one set of figures; a section that is measured again replaces the one that is there.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.bench.environment import NOTE
from tests.bench.session import Row, Section

JSON: Final = "results.json"
MARKDOWN: Final = "results.md"
PLOT: Final = "results.svg"
Results = dict[str, dict[str, object]]


def write(folder: Path, sections: Iterable[Section], environment: Mapping[str, str]) -> list[Path]:
    """Put the sections with those that the folder holds; gives the files.

    Without matplotlib (extra `bench`) there is no plot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = read(folder)
    for section in sections:
        results[section.name] = {**asdict(section), "environment": dict(environment)}
    merged = {name: _section(results[name]) for name in results}
    files = [folder / JSON, folder / MARKDOWN]
    files[0].write_text(json.dumps(results, indent=2) + "\n")
    files[1].write_text(markdown(merged.values(), environment))
    try:
        from tests.bench.plots import plot
    except ImportError:
        return files
    plot(merged, folder / PLOT)
    return [*files, folder / PLOT]


def read(folder: Path) -> Results:
    """The sections that a folder holds."""
    path = folder / JSON
    return json.loads(path.read_text()) if path.exists() else {}


def markdown(sections: Iterable[Section], environment: Mapping[str, str]) -> str:
    """Every section as a table, with what it was measured on."""
    parts = ["# Drawdown: figures", "", "; ".join(f"{k} {v}" for k, v in environment.items()), NOTE]
    for section in sections:
        parts += ["", f"## {section.title}", "", section.note, "", table(section.rows)]
    return "\n".join(parts) + "\n"


def table(rows: list[Row]) -> str:
    """Rows as Markdown; the columns in the order in which they first come."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_text(row.get(name, "")) for name in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _section(held: Mapping[str, object]) -> Section:
    return Section(**{name: held[name] for name in Section.__dataclass_fields__})  # type: ignore[arg-type]
