"""What one entry of a timeline holds: usage, a document or a command, checked. Pure.

A command has the fields of its document; its `id` is by default its index in the timeline. Two name
usage as usage names itself, so their `id` is the usage's: `void_usage` and `replay` {account,
source, id}. A `backfill` is written as the usage that it is of.
"""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from deploy.simulate.json_text import json_bytes
from schemas.documents import (
    CATALOG_KINDS,
    COMMAND_KINDS,
    CREDITS_KINDS,
    Document,
    Pack,
    Product,
    RateCard,
    parse_document,
)
from schemas.envelope import Usage, decode_structured
from schemas.events import UsageEvent
from schemas.reasons import Refusal

KINDS: Final = {
    **{kind.lower(): kind for kind in CREDITS_KINDS if kind not in COMMAND_KINDS},
    **{kind: kind for kind in COMMAND_KINDS},
}
"""The kind of what a timeline names: `account` is an Account."""
SUPPORTED: Final = ("usage", "tick", "catalog", *KINDS)
_NAMING_USAGE: Final = ("void_usage", "replay")
_LOOKED_UP: Final = ("event", "time", "lines")
"""Fields that such a command has on the log and that no scenario writes."""

Faults = list[tuple[str, str]]
CatalogDocument = Product | RateCard | Pack


def content_of(
    name: str,
    fields: Any,  # noqa: ANN401 - any value of YAML
    index: int,
    path: str,
    faults: Faults,
) -> Usage | Document | None:
    """What stands under `name` at `path` in entry `index`: None for a tick, and where faulty."""
    if name == "tick":
        if fields != {}:
            faults.append((path, "expected {}: a tick has no fields"))
        return None
    if name == "catalog":
        return catalog_document(fields, path, faults)
    if not isinstance(fields, dict):
        faults.append((path, "expected the fields of one, as an object"))
        return None
    if name == "usage":
        return _usage(fields, path, faults)
    kind = KINDS[name]
    if fields.get("kind", kind) != kind:
        faults.append((f"{path}.kind", f"expected {kind}, or no kind"))
        return None
    return _credits_document(kind, fields, index, path, faults)


def catalog_document(
    fields: Any,  # noqa: ANN401
    path: str,
    faults: Faults,
) -> CatalogDocument | None:
    """A document of the catalog, None where there is a fault."""
    if isinstance(fields, dict) and fields.get("kind") in CREDITS_KINDS:
        faults.append((f"{path}.kind", f"expected one of {', '.join(CATALOG_KINDS)}"))
        return None
    found = document(fields, path, faults)
    assert found is None or isinstance(found, CatalogDocument)
    return found


def document(fields: Any, path: str, faults: Faults) -> Document | None:  # noqa: ANN401
    """A document of any kind, None where there is a fault."""
    parsed = parse_document(fields)
    if not isinstance(parsed, list):
        return parsed
    faults.extend((_join(path, fault.path), fault.detail) for fault in parsed)
    return None


def _credits_document(
    kind: str, fields: dict[str, Any], index: int, path: str, faults: Faults
) -> Document | None:
    if kind not in COMMAND_KINDS:
        return document({**fields, "kind": kind}, path, faults)
    command = {"id": str(index), **fields, "kind": kind}
    if kind in _NAMING_USAGE:
        return _naming_usage(command, fields, index, path, faults)
    if kind == "backfill" and "event" not in fields:
        return _backfill(fields, index, path, faults)
    return document(command, path, faults)


def _naming_usage(
    command: dict[str, Any], fields: dict[str, Any], index: int, path: str, faults: Faults
) -> Document | None:
    unknown = [(f"{path}.{name}", "unknown field") for name in _LOOKED_UP if name in fields]
    command = {name: value for name, value in command.items() if name not in _LOOKED_UP}
    command["id"] = str(index)
    if "id" in fields:
        command["event"] = fields["id"]
    found: Faults = []
    parsed = document(command, path, found)
    written = {f"{path}.event": f"{path}.id"}
    faults.extend(unknown)
    faults.extend((written.get(place, place), expected) for place, expected in found)
    return None if unknown else parsed


def _backfill(fields: dict[str, Any], index: int, path: str, faults: Faults) -> Document | None:
    attributes = {name: value for name, value in fields.items() if name not in ("account", "kind")}
    event = _usage(attributes, path, faults)
    if event is None:
        return None
    text = json_bytes({"specversion": "1.0", **attributes}).decode()
    account = fields.get("account", event.account)
    command = {"kind": "backfill", "id": str(index), "account": account, "event": text}
    return document(command, path, faults)


def _usage(fields: dict[str, Any], path: str, faults: Faults) -> Usage | None:
    """The event as admission takes it; what it does not take is a fault of the file."""
    found = list(_usage_faults(fields))
    if not found:
        event = decode_structured(json_bytes({"specversion": "1.0", **fields}))
        if not isinstance(event, Refusal):
            return event
        found = [(event.path or "", event.detail)]
    faults.extend((_join(path, name), expected) for name, expected in found)
    return None


def _usage_faults(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        UsageEvent.model_validate(fields)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            expected = item["msg"].removeprefix("Value error, ")
            yield ".".join(map(str, item["loc"])), expected


def _join(path: str, inner: str | None) -> str:
    return f"{path}.{inner}" if inner else path
