"""What is sent for an event: its key and its exact bytes. Pure.

Numbers leave as they came: ints and Decimals as JSON number literals of all their digits, text as
text. A binary float is refused, because the digits that were meant are not in it (credits.md
section 1).
"""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from schemas.errors import faults_of
from schemas.events import UsageEvent
from schemas.times import format_instant
from schemas.topics import MAX_INPUT_BYTES

_encode = msgspec.json.Encoder(decimal_format="number").encode
_DEPTH: Final = 60
_LONGEST_NUMBER: Final = 1_000
_INT64: Final = 1 << 63
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def encode_event(event: UsageEvent | Mapping[str, Any]) -> tuple[str, bytes]:
    """The account and the JSON bytes of one event. Raises ValueError that names what is wrong."""
    fields = _fields(event) if isinstance(event, UsageEvent) else dict(event)
    value = encode_json({"specversion": "1.0", **fields})
    if len(value) > MAX_INPUT_BYTES:
        message = f"the event has {len(value)} bytes; at most {MAX_INPUT_BYTES} are taken"
        raise ValueError(message)
    try:
        checked = UsageEvent.model_validate_json(value)
    except ValidationError as error:
        raise ValueError(faults_of(error)) from None
    return checked.subject, value


def _fields(event: UsageEvent) -> dict[str, Any]:
    fields = {name: getattr(event, name) for name in UsageEvent.model_fields}
    fields |= event.model_extra or {}
    fields["time"] = format_instant(event.time)
    return {name: value for name, value in fields.items() if value is not None}


def encode_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """`value` as JSON, every number exact. Raises ValueError for floats and what is not JSON."""
    return _encode(_exact(value, "event", _DEPTH))


def _exact(value: Any, path: str, depth: int) -> Any:  # noqa: ANN401
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return format_instant((value - _EPOCH) // _MICROSECOND)
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else msgspec.Raw(str(value).encode())
    if isinstance(value, Decimal):
        return _exact_decimal(value, path)
    if isinstance(value, float):
        raise ValueError(f"{path}: a float is not exact; give an int, a Decimal or text")  # noqa: TRY004 - a wrong value to callers
    if depth == 0:
        raise ValueError(f"{path}: nested more than {_DEPTH} deep")
    if isinstance(value, Mapping):
        return {
            _name(key, path): _exact(item, f"{path}.{key}", depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_exact(item, f"{path}[{at}]", depth - 1) for at, item in enumerate(value)]
    raise ValueError(f"{path}: {type(value).__name__} is not JSON")


def _exact_decimal(value: Decimal, path: str) -> msgspec.Raw:
    if not value.is_finite():
        raise ValueError(f"{path}: {value} is not a JSON number")
    if abs(value.adjusted()) > _LONGEST_NUMBER:
        raise ValueError(f"{path}: {value} has more than {_LONGEST_NUMBER} digits")
    return msgspec.Raw(format(value, "f").encode())


def _name(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{path}: the name {key!r} is not text")  # noqa: TRY004 - for callers it is a wrong value
    return key
