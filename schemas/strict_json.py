"""JSON as documents are written in it: UTF-8, exact numbers, no key twice, bounded size and depth.

A number with a fraction or an exponent, or with more digits than any field takes, is kept as its
literal (`NumberText`); no float is ever made.
"""

import json
from typing import Any, Final

from schemas.numbers import LONGEST_LITERAL, NumberText
from schemas.reasons import Reason, Refusal

MAX_DOCUMENT_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 32


def load_json(raw: bytes) -> Any:  # noqa: ANN401 - any JSON value, or a Refusal
    """The value of one JSON text, or the Refusal that says why there is none."""
    if len(raw) > MAX_DOCUMENT_BYTES:
        return Refusal(Reason.TOO_LARGE, f"expected at most {MAX_DOCUMENT_BYTES} bytes")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return Refusal(Reason.NOT_UTF8, str(error))
    try:
        loaded = json.loads(
            text,
            parse_float=NumberText,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except RecursionError:
        return Refusal(Reason.TOO_DEEP, f"expected at most {MAX_DEPTH} levels")
    except ValueError as error:
        return Refusal(Reason.MALFORMED_JSON, str(error))
    return loaded if (fault := shape_fault(loaded)) is None else fault


def shape_fault(value: object, levels: int = MAX_DEPTH) -> Refusal | None:
    """What no document may hold anywhere: half of a surrogate pair, or more levels."""
    if isinstance(value, str):
        return None if value.isascii() or _is_unicode(value) else _surrogate()
    if not isinstance(value, dict | list):
        return None
    if levels == 0:
        return Refusal(Reason.TOO_DEEP, f"expected at most {MAX_DEPTH} levels")
    parts: list[object] = value if isinstance(value, list) else [*value, *value.values()]
    for part in parts:
        fault = shape_fault(part, levels - 1)
        if fault is not None:
            return fault
    return None


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= LONGEST_LITERAL else NumberText(text)


def _refuse_constant(text: str) -> None:
    message = f"{text} is not JSON"
    raise ValueError(message)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    loaded = dict(pairs)
    if len(loaded) != len(pairs):
        message = "an object holds a key twice"
        raise ValueError(message)
    return loaded


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _surrogate() -> Refusal:
    return Refusal(Reason.MALFORMED_JSON, "a text holds half of a surrogate pair")
