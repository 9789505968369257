"""Row -> CloudEvent, byte for byte the same on every run: pure, no clock and no I/O.

Two kinds of rows become events: rows of a table, built by an EventMapping, and lines that are
CloudEvents already, whose bytes are kept wherever nothing has to change. A row that cannot become
an event is a `Fault`, a returned value: its neighbours are unharmed.

The id of a row that has none is `<digest of the file's bytes>-<row number>`, and its source
`drawdown-send/<start of the digest>`: independent of the mapping and of rebasing, so the same file
sent again is a duplicate of itself (credits.md section 9).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from ingest.cells import JSON, CellError, CellKind, json_string
from ingest.mapping import EventMapping, Leaf, Tree
from schemas.times import TimeError, format_instant, parse_instant
from schemas.topics import MAX_INPUT_BYTES

DIGEST_BYTES: Final = 16
_SOURCE_DIGITS: Final = 12
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Event(NamedTuple):
    """One event to send: its account, its time (microseconds, shifted) and its JSON bytes."""

    account: str
    time: int
    value: bytes


class Fault(NamedTuple):
    """Why a row is not sent."""

    reason: str


class Row(NamedTuple):
    """One row: what became of it, and its bytes as they were (of a Parquet row, its values)."""

    number: int
    result: Event | Fault
    raw: bytes


def file_digest() -> "hashlib.blake2b":
    """An empty digest, to be fed with all of the file's bytes."""
    return hashlib.blake2b(digest_size=DIGEST_BYTES, person=b"drawdown-send")


@dataclass(frozen=True, slots=True)
class Encoder:
    """Makes events of rows. `digest` is the file's, in hexadecimal; `shift` moves every time."""

    mapping: EventMapping
    kind: CellKind
    digest: str
    shift: int = 0

    @property
    def default_source(self) -> str:
        """The `source` of rows that have none."""
        return f"drawdown-send/{self.digest[:_SOURCE_DIGITS]}"

    def row_id(self, number: int) -> str:
        """The `id` of row `number` where it has none."""
        return f"{self.digest}-{number}"

    def table_row(self, number: int, cells: Mapping[str, Any]) -> Event | Fault:
        """The event of one row of a table."""
        try:
            return self._table_row(number, cells)
        except (CellError, TimeError, UnicodeDecodeError) as error:
            return Fault(str(error))

    def json_line(self, number: int, line: bytes) -> Event | Fault:
        """The event of one line: a CloudEvent, or an object of columns where some are mapped."""
        try:
            line.decode()
            cells = _decode_object(line)
            if self.mapping.mapped:
                return self._table_row(number, cells)
            return self._cloud_event(number, line, cells)
        except UnicodeDecodeError:
            return Fault("not UTF-8 text")
        except RecursionError:
            return Fault("nested too deeply")
        except (CellError, TimeError, msgspec.DecodeError) as error:
            return Fault(str(error))

    def _table_row(self, number: int, cells: Mapping[str, Any]) -> Event | Fault:
        text = self._texts(number, cells)
        time = parse_instant(text["time"], naive_is_utc=True) + self.shift
        parts = [b'{"specversion":"1.0"']
        for name, value in text.items():
            shown = format_instant(time) if name == "time" else value
            parts.append(b',"%b":%b' % (name.encode(), json_string(shown)))
        whole = self.mapping.whole_data
        data = self._object(self.mapping.data, cells) if whole is None else self._json(whole, cells)
        if data is not None:
            parts.append(b',"data":' + data)
        parts.append(b"}")
        return _event(text["subject"], time, b"".join(parts))

    def _texts(self, number: int, cells: Mapping[str, Any]) -> dict[str, str]:
        found = {
            name: self._text(name, leaf, cells) for name, leaf in self.mapping.attributes.items()
        }
        text = {
            "id": found.pop("id", None) or self.row_id(number),
            "source": found.pop("source", None) or self.default_source,
        }
        text |= {name: value for name, value in found.items() if value is not None}
        _require(text)
        return text

    def _text(self, name: str, leaf: Leaf, cells: Mapping[str, Any]) -> str | None:
        if leaf.column is None:
            return leaf.constant_text
        if leaf.column not in cells:
            return None
        try:
            return self.kind.text(cells[leaf.column])
        except CellError as error:
            raise CellError(f"{name}: {error}") from error

    def _json(self, leaf: Leaf, cells: Mapping[str, Any]) -> bytes | None:
        if leaf.column is None:
            return leaf.constant
        if leaf.column not in cells:
            return None
        try:
            return self.kind.json(cells[leaf.column])
        except CellError as error:
            raise CellError(f"{leaf.column}: {error}") from error

    def _object(self, tree: Tree, cells: Mapping[str, Any]) -> bytes:
        parts = []
        for name, node in tree.items():
            value = self._json(node, cells) if isinstance(node, Leaf) else self._object(node, cells)
            if value is not None:
                parts.append(json_string(name) + b":" + value)
        return b"{" + b",".join(parts) + b"}"

    def _cloud_event(
        self, number: int, line: bytes, cells: dict[str, msgspec.Raw]
    ) -> Event | Fault:
        text = {
            name: _own_text(name, cells) for name in ("id", "source", "type", "subject", "time")
        }
        changed: dict[str, bytes] = {}
        for name, leaf in self.mapping.attributes.items():
            changed[name] = leaf.constant
            text[name] = leaf.constant_text
        for name, default in (("id", self.row_id(number)), ("source", self.default_source)):
            if text[name] is None:
                changed[name] = json_string(default)
        present = {name: value for name, value in text.items() if value is not None}
        _require(present)
        written = present["time"]
        time = parse_instant(written, naive_is_utc=True) + self.shift
        if self.shift or not _is_strict(written):
            changed["time"] = json_string(format_instant(time))
        if self.mapping.whole_data is not None:
            changed["data"] = self.mapping.whole_data.constant
        elif self.mapping.data:
            changed["data"] = _merged(cells.get("data"), self.mapping.data)
        if not changed:
            return _event(present["subject"], time, line.strip())
        return _event(present["subject"], time, _rewritten(cells, changed))


def _event(account: str, time: int, value: bytes) -> Event | Fault:
    if len(value) > MAX_INPUT_BYTES:
        return Fault(f"the event has {len(value)} bytes; at most {MAX_INPUT_BYTES} are taken")
    return Event(account, time, value)


def _require(text: Mapping[str, str]) -> None:
    for name in ("time", "type", "subject"):
        if not text.get(name):
            message = f"{name}: no value"
            raise CellError(message)


def _own_text(name: str, cells: Mapping[str, msgspec.Raw]) -> str | None:
    raw = cells.get(name)
    if raw is None:
        return None
    literal = bytes(raw)
    if not literal.startswith(b'"'):
        message = f"{name}: expected text, found {literal[:40].decode('utf-8', 'replace')}"
        raise CellError(message)
    return JSON.text(raw)


def _is_strict(text: str) -> bool:
    try:
        parse_instant(text)
    except TimeError:
        return False
    return True


def _rewritten(cells: Mapping[str, msgspec.Raw], changed: dict[str, bytes]) -> bytes:
    merged = {name: bytes(raw) for name, raw in cells.items()} | changed
    return b"{" + b",".join(json_string(key) + b":" + merged[key] for key in merged) + b"}"


def _merged(raw: msgspec.Raw | None, tree: Tree) -> bytes:
    try:
        cells = _decode_object(raw) if raw is not None else {}
    except msgspec.DecodeError as error:
        message = "data: expected an object to set values in"
        raise CellError(message) from error
    changed = {
        name: node.constant if isinstance(node, Leaf) else _merged(cells.get(name), node)
        for name, node in tree.items()
    }
    return _rewritten(cells, changed)
