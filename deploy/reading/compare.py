"""Comparing what is with what should be, and saying in few words where they differ. Pure."""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Final

import polars as pl

Differ = Callable[[str], None]
POSITION: Final = ("journal_offset", "row", "ordinal")
_SHOWN: Final = 80


def compare_tables(
    name: str, expected: pl.DataFrame, actual: pl.DataFrame, differ: Differ, partition: int
) -> None:
    """Both in position order, with the same columns. Equal tables cost one columnar comparison."""
    if expected.equals(actual):
        return
    where = f"{name} [{partition}]"
    wanted, have = _by_position(expected), _by_position(actual)
    for place in sorted(wanted.keys() | have.keys()):
        for want, got in zip_longest(wanted.get(place, []), have.get(place, [])):
            at = ":".join(map(str, place))
            if got is None:
                differ(f"{where} at {at}: missing {_brief(want)}")
            elif want is None:
                differ(f"{where} at {at}: not expected {_brief(got)}")
            elif want != got:
                differ(f"{where} at {at}: {_first_difference(want, got)}")
    if list(wanted) != list(have) and wanted.keys() == have.keys():
        differ(f"{where}: the rows stand in another order")


def compare_rows(
    name: str,
    expected: Mapping[str, bytes],
    actual: Mapping[str, bytes],
    differ: Differ,
    partition: int,
) -> None:
    """Rows by key: each must be there, with the same bytes, and no other."""
    if expected == actual:
        return
    for key in sorted(expected.keys() | actual.keys()):
        want, got = expected.get(key), actual.get(key)
        if want != got:
            differ(f"{name} [{partition}] row {key}: expected {_text(want)}, is {_text(got)}")


def _by_position(table: pl.DataFrame) -> dict[tuple[int, ...], list[dict[str, object]]]:
    found: dict[tuple[int, ...], list[dict[str, object]]] = {}
    for row in table.iter_rows(named=True):
        found.setdefault(tuple(row[column] for column in POSITION), []).append(row)
    return found


def _brief(row: Mapping[str, object]) -> str:
    shown: Sequence[str] = (
        "kind",
        "posting",
        "account",
        "id",
        "product",
        "grant",
        "cost",
        "amount",
    )
    return ", ".join(f"{name}={row[name]}" for name in shown if row.get(name) is not None)


def _first_difference(want: Mapping[str, object], got: Mapping[str, object]) -> str:
    name = next(column for column in want if want[column] != got[column])
    return f"{name}: expected {_text(want[name])}, is {_text(got[name])} ({_brief(got)})"


def _text(value: object) -> str:
    if value is None:
        return "none"
    shown = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}… ({len(shown)})"
