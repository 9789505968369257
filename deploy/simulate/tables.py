"""The result of a scenario as text for people: aligned columns that depend on no terminal. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

Row = dict[str, Any]


def to_text(result: dict[str, Any]) -> str:
    """Each account with its grants, then lines, alerts, what was rejected and what is unrated."""
    parts = [part for name, entry in result["accounts"].items() for part in _account(name, entry)]
    lines = [{**line, "slices": _slices(line)} for line in result["lines"]]
    parts += _part("lines", lines, ("contract",))
    for name in ("alerts", "rejected", "unrated"):
        parts += _part(name, result[name], ())
    return "\n".join(parts)


def _account(name: str, entry: Row) -> Iterator[str]:
    totals = ", ".join(f"{key} {entry[key]}" for key in ("available", "consumed", "overage"))
    yield f"{name}: {totals}"
    yield from _table(entry["grants"], ("contract", "rolled_over", "voided"))
    yield ""


def _part(name: str, rows: list[Row], left_out: tuple[str, ...]) -> list[str]:
    return [name, *_table(rows, left_out), ""] if rows else [f"{name}: none", ""]


def _slices(line: Row) -> str:
    return " ".join(f"{part['grant']}:{part['amount']}" for part in line["slices"]) or "-"


def _table(rows: list[Row], left_out: Iterable[str]) -> Iterator[str]:
    """Columns in the order in which they first occur; a column of `left_out` shows what it has."""
    columns = dict.fromkeys(key for row in rows for key in row)
    for column in left_out:
        if all(row.get(column) in (None, "0") for row in rows):
            columns.pop(column, None)
    cells = [list(columns), *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells if rows else ():
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(padded)}".rstrip()


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
