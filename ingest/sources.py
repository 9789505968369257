"""Reading rows of files: CloudEvents JSON lines, CSV and Parquet, each row by itself and numbered.

A row number is the line of a JSON lines file, the record (header not counted) of a CSV file, the
row of a Parquet file, from 1. A row that cannot be read is given with its fault; the rows after it
are unharmed (within a CSV file, a quote that is never closed takes what follows it, at most 1 MB).
"""

import csv
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Literal, NamedTuple, Protocol

from ingest.cells import CSV, JSON, CellKind
from ingest.encode import Encoder, Event, Fault, Row, file_digest
from ingest.mapping import EventMapping, with_columns
from ingest.parquet import ParquetFile
from schemas.errors import ConfigurationError
from schemas.topics import MAX_INPUT_BYTES

Format = Literal["jsonl", "csv", "parquet"]
_SUFFIXES: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
_READ_BYTES: Final = 1 << 20


class Source(Protocol):
    """A file of one format: the mapping is checked, then the rows are read, as often as needed."""

    kind: CellKind

    def total(self, lines: int) -> int:
        """About how many rows there are, for a progress bar, given how many lines there are."""
        ...

    def checked(self, mapping: EventMapping) -> EventMapping:
        """The mapping for this file's columns. Raises ConfigurationError before any row is read."""
        ...

    def rows(self, encoder: Encoder, after: int = 0) -> Iterator[Row]:
        """The rows with a number above `after`, in order."""
        ...


def open_source(path: Path, given: Format | None = None) -> Source:
    """The reader of a file. Raises ConfigurationError where its format is not known."""
    if not path.is_file():
        message = f"{path} is not a file"
        raise ConfigurationError(message)
    known = given or _SUFFIXES.get(path.suffix.lower())
    if known is None:
        message = f"{path}: what is it? say --format jsonl, csv or parquet"
        raise ConfigurationError(message)
    readers: dict[Format, Callable[[Path], Source]]
    readers = {"jsonl": JsonLines, "csv": CsvFile, "parquet": ParquetFile}
    return readers[known](path)


class Contents(NamedTuple):
    """The digest of a file's bytes, in hexadecimal (ids derive from it), and its lines."""

    digest: str
    lines: int


def contents_of(path: Path) -> Contents:
    """Read the whole file once."""
    digest = file_digest()
    lines = 0
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
            lines += block.count(b"\n")
    return Contents(digest.hexdigest(), lines)


class Spooled(AbstractContextManager[Path]):
    """Standard input as a file, because it is read more than once; removed at the end."""

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream or sys.stdin.buffer
        self._folder = tempfile.TemporaryDirectory(prefix="drawdown-")

    def __enter__(self) -> Path:
        path = Path(self._folder.name) / "stdin"
        with path.open("wb") as file:
            shutil.copyfileobj(self._stream, file, _READ_BYTES)
        return path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()


class JsonLines:
    """One JSON object per line; empty lines are counted and skipped."""

    kind = JSON

    def __init__(self, path: Path) -> None:
        self._path = path

    def total(self, lines: int) -> int:
        """One row a line."""
        return lines

    def checked(self, mapping: EventMapping) -> EventMapping:
        """As given: a line shows its own fields."""
        return mapping

    def rows(self, encoder: Encoder, after: int = 0) -> Iterator[Row]:
        """One row per line."""
        with self._path.open("rb") as file:
            for number, line in enumerate(islice(file, after, None), after + 1):
                raw = line.rstrip(b"\r\n")
                if raw.strip():
                    yield Row(number, encoder.json_line(number, raw), raw)


class CsvFile:
    """RFC 4180 CSV, UTF-8, with a header; cells are literal, quoted ones may hold newlines."""

    kind = CSV

    def __init__(self, path: Path) -> None:
        self._path = path
        csv.field_size_limit(MAX_INPUT_BYTES)

    def total(self, lines: int) -> int:
        """One row a line, where no cell holds a newline; the first line is the header."""
        return max(lines - 1, 0)

    def checked(self, mapping: EventMapping) -> EventMapping:
        """Against the names in the header."""
        with self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            header = next(csv.reader(file, strict=True), [])
        if len(set(header)) != len(header):
            message = f"{self._path}: two columns have the same name"
            raise ConfigurationError(message)
        return with_columns(mapping, header)

    def rows(self, encoder: Encoder, after: int = 0) -> Iterator[Row]:
        """One row per record."""
        with self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            lines = _Remembering(file)
            reader = csv.reader(lines, strict=True)
            header = next(reader, [])
            number = 0
            while True:
                lines.read.clear()
                try:
                    record = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    result: Event | Fault = Fault(f"CSV: {error}")
                else:
                    if not record:
                        continue
                    if number < after:
                        number += 1
                        continue
                    result = _csv_row(number + 1, header, record, encoder)
                number += 1
                if number > after:
                    yield Row(number, result, lines.raw())


def _csv_row(number: int, header: list[str], record: list[str], encoder: Encoder) -> Event | Fault:
    if len(record) != len(header):
        return Fault(f"{len(record)} cells; the header names {len(header)}")
    return encoder.table_row(number, dict(zip(header, record, strict=True)))


class _Remembering:
    """The lines of a text file, remembered until cleared."""

    def __init__(self, file: Iterator[str]) -> None:
        self._file = file
        self.read: list[str] = []

    def __iter__(self) -> "_Remembering":
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.read.append(line)
        return line

    def raw(self) -> bytes:
        return "".join(self.read).rstrip("\r\n").encode("utf-8", "surrogateescape")
