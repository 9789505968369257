"""What one value of a source row is as text and as JSON, exactly.

A CSV cell is text: it becomes a JSON number only if it *is* one by the JSON number grammar (`374`,
`-1.50`, not `007` or ` 1`), and keeps its literal. A JSON value keeps its bytes. A Parquet value
has a type: text stays text, decimals and integers keep every digit, a float is taken only where it
is a whole number below 2^53; any other one is refused, because its decimal digits are not what was
written.

Pure: no I/O. A cell that cannot be taken raises CellError, which the encoder turns into a row's
fault.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_EXACT_FLOAT: Final = 2**53
_string = msgspec.json.Encoder().encode
_decode_text = msgspec.json.Decoder(str).decode


class CellError(ValueError):
    """A value that cannot be taken exactly; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class CellKind:
    """How a source's values are read: as `text` and as a `json` literal; None is absent."""

    name: str
    text: Callable[[Any], str | None]
    json: Callable[[Any], bytes | None]


def json_string(text: str) -> bytes:
    """`text` as a JSON string.

    Raises CellError when it is not Unicode text (bytes that were not UTF-8).
    """
    try:
        return _string(text)
    except UnicodeEncodeError as error:
        message = "not UTF-8 text"
        raise CellError(message) from error


def _csv_text(cell: str) -> str | None:
    return cell or None


def _csv_json(cell: str) -> bytes | None:
    if not cell:
        return None
    if _NUMBER.fullmatch(cell):
        return cell.encode("ascii")
    return json_string(cell)


def _json_text(raw: msgspec.Raw) -> str | None:
    literal = bytes(raw)
    if literal == b"null":
        return None
    if literal.startswith(b'"'):
        return _decode_text(literal)
    text = literal.decode("ascii", "replace")
    if _INTEGER.fullmatch(text):
        return text
    message = f"expected text, found {text[:40]}"
    raise CellError(message)


def _json_json(raw: msgspec.Raw) -> bytes | None:
    literal = bytes(raw)
    return None if literal == b"null" else literal


def _typed_text(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool | float):
        message = f"expected text, found {value!r}"
        raise CellError(message)
    return _typed_literal(value)


def _typed_json(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, str | dt.date):
        return json_string(str(value))
    return _typed_literal(value).encode("ascii")


def _typed_literal(value: object) -> str:
    if isinstance(value, float):
        if value.is_integer() and abs(value) < _EXACT_FLOAT:
            return str(int(value))
        message = (
            f"{value!r} is a binary float, which is not exact; store it as a decimal or as text"
        )
        raise CellError(message)
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


CSV: Final = CellKind("csv", _csv_text, _csv_json)
JSON: Final = CellKind("jsonl", _json_text, _json_json)
TYPED: Final = CellKind("parquet", _typed_text, _typed_json)
