"""Results and differences as text for people: aligned columns that depend on no terminal. Pure."""

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


def difference_to_text(found: dict[str, Any]) -> str:
    """What differs, a row for each field; `found` is of `deploy.simulate.difference`."""
    parts = [f"cost: {_arrow(found['cost'])}", ""] if "cost" in found else []
    for name in ("accounts", "grants", "lines"):
        if name in found:
            parts += _part(name, [row for one in found[name] for row in _fields(one)], ())
    for name in ("alerts", "rejected", "unrated"):
        sides = found.get(name, {})
        rows = [{"only": side, **entry} for side, entries in sides.items() for entry in entries]
        parts += _part(name, rows, ()) if rows else []
    return "\n".join(parts) or "no difference"


def _fields(one: Row) -> Iterator[Row]:
    """A row for each field of an account, a grant or a line that differs."""
    names = {name: value for name, value in one.items() if not isinstance(value, dict)}
    for field, sides in one.items():
        if isinstance(sides, dict):
            shown = {side: _value(value) for side, value in sides.items()}
            yield {**names, "field": field, **shown}


def _value(value: Any) -> Any:  # noqa: ANN401 - any value of a result
    return _slices({"slices": value}) if isinstance(value, list) else value


def _arrow(sides: Row) -> str:
    return f"{sides['before']} -> {sides['after']}"


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
