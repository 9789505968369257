"""Values and dimensions out of an event's `data`, exactly. The plain way, one event at a time.

A metered value is a JSON number by its literal text, or a decimal string. A dimension is a string
as it is, a number's literal text, or `true`/`false`; null, an object, an array or nothing is no
value and matches nothing.
"""

import json
from typing import Any, Final

from schemas.numbers import QUANTITY_DECIMALS, NumberError, parse_units

MISSING: Final = None


class _Number(str):
    """The literal text of a JSON number."""

    __slots__ = ()


_decode: Final = json.JSONDecoder(
    parse_float=_Number, parse_int=_Number, parse_constant=lambda _text: None
).decode


def load_data(data: bytes | None) -> Any:  # noqa: ANN401 - any JSON value
    """`data` with every number as its text; admission has checked that it is JSON."""
    return None if data is None else _decode(data.decode())


def at_path(loaded: Any, path: str) -> Any:  # noqa: ANN401
    """The value at a dotted path of nested objects, MISSING where there is none."""
    for part in path.split("."):
        if not isinstance(loaded, dict) or part not in loaded:
            return MISSING
        loaded = loaded[part]
    return loaded


def quantity_of(value: Any) -> int | None:  # noqa: ANN401
    """Units of a metered value; None where it is no exact number within the limits."""
    if not isinstance(value, str):
        return None
    try:
        return parse_units(str(value), QUANTITY_DECIMALS)
    except NumberError:
        return None


def dimension_of(value: Any) -> str | None:  # noqa: ANN401
    """The text that a rate's `match` is compared with."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str) else None


def text_of(value: Any) -> str | None:  # noqa: ANN401
    """`dimension_of` where it can be written down: half of a surrogate pair is no text."""
    text = dimension_of(value)
    if text is None or text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text
