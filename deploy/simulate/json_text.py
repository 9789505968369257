"""Values of a YAML file as JSON bytes, every number by the digits that were written. Pure."""

import json
from typing import Any

from schemas.numbers import NumberText


def json_bytes(value: Any) -> bytes:  # noqa: ANN401 - any value that `schemas.yaml` gives
    """Compact JSON in the order of the file; of UTF-8, for a file without halves of surrogates."""
    return _text(value).encode()


def _text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, dict):
        members = (
            f"{json.dumps(name, ensure_ascii=False)}:{_text(v)}" for name, v in value.items()
        )
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, NumberText):
        return str(value)
    assert value is None or isinstance(value, bool | int | str), value
    return json.dumps(value, ensure_ascii=False)
