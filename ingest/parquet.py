"""Rows of a Parquet file, every value exact: decimals, wide integers, times in microseconds."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from ingest.cells import TYPED
from ingest.encode import Encoder, Event, Fault, Row
from ingest.mapping import EventMapping, with_columns
from schemas.errors import ConfigurationError
from schemas.times import format_instant

_PARQUET_ROWS: Final = 50_000
_MICROSECONDS_PER: Final = {"ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}


class ParquetFile:
    """A Parquet file of flat columns: text, integers, decimals, booleans, dates, timestamps."""

    kind = TYPED

    def __init__(self, path: Path) -> None:
        self._path = path

    def total(self, lines: int) -> int:  # noqa: ARG002 - the interface of a source
        """As the file says."""
        return int(pl.scan_parquet(self._path).select(pl.len()).collect().item())

    def checked(self, mapping: EventMapping) -> EventMapping:
        """Against the file's columns; one that is mapped must be of a type with an exact text."""
        schema = self._schema()
        checked = with_columns(mapping, schema.names())
        for name in checked.columns():
            _reader_of(name, schema[name])
        return checked

    def rows(self, encoder: Encoder, after: int = 0) -> Iterator[Row]:
        """One row per row."""
        schema = self._schema()
        names = encoder.mapping.columns()
        readers = {name: reader for name in names if (reader := _reader_of(name, schema[name]))}
        columns = [_plain(name, schema[name]) for name in names]
        number = after
        while True:
            table = (
                pl.scan_parquet(self._path).slice(number, _PARQUET_ROWS).select(columns).collect()
            )
            if table.is_empty():
                return
            for values in table.iter_rows():
                number += 1
                cells = dict(zip(names, values, strict=True))
                raw = repr(cells).encode("utf-8", "replace")
                yield Row(number, _typed_row(number, cells, readers, encoder), raw)

    def _schema(self) -> pl.Schema:
        try:
            return pl.scan_parquet(self._path).collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            message = f"{self._path}: {error}"
            raise ConfigurationError(message) from error


def _typed_row(
    number: int,
    cells: dict[str, Any],
    readers: Mapping[str, Callable[[int], str]],
    encoder: Encoder,
) -> Event | Fault:
    for name, reader in readers.items():
        if cells[name] is not None:
            try:
                cells[name] = reader(cells[name])
            except ValueError as error:
                return Fault(f"{name}: {error}")
    return encoder.table_row(number, cells)


def _plain(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(kind, pl.Datetime):
        return column.to_physical()
    return column.cast(pl.String) if isinstance(kind, pl.Categorical | pl.Enum) else column


def _reader_of(name: str, kind: pl.DataType) -> Callable[[int], str] | None:
    """How the physical value of a timestamp is read; None where values are taken as they are."""
    if isinstance(kind, pl.Datetime):
        times, parts = _MICROSECONDS_PER[kind.time_unit]
        return lambda value: _instant_text(value * times, parts)
    plain = (pl.String, pl.Boolean, pl.Date, pl.Categorical, pl.Enum, pl.Decimal, pl.Null)
    if kind.is_integer() or kind.is_float() or isinstance(kind, plain):
        return None
    message = f"column {name!r} is a {kind}, which cannot be mapped"
    raise ConfigurationError(message)


def _instant_text(value: int, parts: int) -> str:
    microseconds, rest = divmod(value, parts)
    if rest:
        message = "a time finer than microseconds"
        raise ValueError(message)
    return format_instant(microseconds)
