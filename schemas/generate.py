"""The public contract as files: JSON Schemas (draft 2020-12) and an AsyncAPI 3.0 document.

`generate` makes them from the models, from nothing else, and always the same bytes; they are
committed, and a test says that they are current. This is the one module of `schemas` that touches
files, and only in `stale_files` and `write_files`.
"""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from schemas.asyncapi import asyncapi
from schemas.documents import MODELS
from schemas.events import AlertEvent, DeadLetterHeaders, RejectedHeaders, UsageEvent

FOLDER: Final = Path(__file__).parent
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED: Final[dict[str, type[BaseModel]]] = {
    **MODELS,
    "UsageEvent": UsageEvent,
    "AlertEvent": AlertEvent,
    "RejectedHeaders": RejectedHeaders,
    "DeadLetterHeaders": DeadLetterHeaders,
}
_STATED: Final = ("kind", "specversion")
"""Fields that are written in every document and event, though the models fill them in."""


def generate() -> dict[str, bytes]:
    """The bytes of each file, by its name under `schemas/`."""
    files = {schema_file(name): _text(json_schema(name)) for name in PUBLISHED}
    return files | {
        "asyncapi.json": _text(asyncapi({name: schema_file(name) for name in PUBLISHED}))
    }


def schema_file(name: str) -> str:
    """Where the schema of a published model stands, under `schemas/`."""
    return f"json/{name}.json"


def json_schema(name: str) -> dict[str, Any]:
    """The schema of what is taken in: a document as it is written, an event as it is sent."""
    schema = PUBLISHED[name].model_json_schema(by_alias=True)
    stated = [field for field in _STATED if field in schema["properties"]]
    schema["required"] = stated + schema["required"]
    return {"$schema": DIALECT, **schema}


def stale_files() -> list[str]:
    """The names of the files that are missing, outdated or no longer generated."""
    wanted = generate()
    stale = [name for name, content in wanted.items() if _read(name) != content]
    return sorted(stale + _leftover(wanted))


def write_files() -> list[str]:
    """Bring the folder up to date; gives the names of the files that changed."""
    stale, wanted = stale_files(), generate()
    for name in stale:
        path = FOLDER / name
        if name in wanted:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(wanted[name])
        else:
            path.unlink()
    return stale


def _leftover(wanted: dict[str, bytes]) -> list[str]:
    found = (path.relative_to(FOLDER).as_posix() for path in (FOLDER / "json").glob("*.json"))
    return [name for name in found if name not in wanted]


def _read(name: str) -> bytes | None:
    path = FOLDER / name
    return path.read_bytes() if path.is_file() else None


def _text(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
