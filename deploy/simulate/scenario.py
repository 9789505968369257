"""A scenario file, checked: what happens, in the order of the log, each thing with its time. Pure.

```yaml
catalog:  [Product or RateCard documents, in force from the beginning]
timeline: [{at: …, and one of usage, tick, catalog, account, grant}, …]
```

A file is valid or it is refused as a whole, with the path of every bad field
(`timeline[1].grant.amount`) and what was expected there. What depends on what went before (a
duplicate, an unknown account, a version in effect) is not a fault of the file: it is found when
the scenario runs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from deploy.simulate.json_text import json_bytes
from processors.admission.envelope import DEPTH, Usage, decode_structured
from schemas.documents import (
    CATALOG_KINDS,
    COMMAND_KINDS,
    Account,
    Document,
    Grant,
    Product,
    RateCard,
    parse_document,
)
from schemas.errors import DocumentError
from schemas.events import UsageEvent
from schemas.reasons import Refusal
from schemas.strict_json import shape_fault
from schemas.times import TimeError, format_instant, parse_instant
from schemas.yaml import load_yaml

DOCUMENT_KINDS: Final = {"account": "Account", "grant": "Grant"}
SUPPORTED: Final = ("usage", "tick", "catalog", *DOCUMENT_KINDS)
UNSUPPORTED: Final = frozenset({"contract", *COMMAND_KINDS})
_PARTS: Final = ("catalog", "timeline")
_LEVELS: Final = DEPTH + 8
"""Of the whole file: `data` as deep as admission takes it, below its place in the timeline."""

Faults = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """What arrives at `at` (microseconds): usage, a document, or None for nothing but the time."""

    at: int
    what: Usage | Document | None


def parse_scenario(text: str) -> list[Entry]:
    """The entries of a scenario, the catalog's first, at the time of the first of the timeline.

    Raises DocumentError that holds every fault, each with its path.
    """
    scenario = _whole(text)
    faults: Faults = [
        (name, f"unknown field, expected {' and '.join(_PARTS)}")
        for name in scenario
        if name not in _PARTS
    ]
    catalog = [
        _catalog_document(fields, f"catalog[{index}]", faults)
        for index, fields in enumerate(_list(scenario.get("catalog", []), "catalog", faults))
    ]
    timeline = _timeline(scenario, faults)
    if faults:
        raise DocumentError(faults)
    return [*(Entry(timeline[0].at, document) for document in catalog), *timeline]


def _whole(text: str) -> dict[str, Any]:
    found = load_yaml(text)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise DocumentError([("scenario", "expected one YAML document with catalog and timeline")])
    fault = shape_fault(found[0], _LEVELS)
    if fault is not None:
        raise DocumentError([("scenario", fault.detail)])
    scenario: dict[str, Any] = found[0]
    return scenario


def _timeline(scenario: Mapping[str, Any], faults: Faults) -> list[Entry]:
    entries: list[Entry] = []
    before = 0
    for index, fields in enumerate(_list(scenario.get("timeline"), "timeline", faults)):
        path = f"timeline[{index}]"
        if not isinstance(fields, dict):
            faults.append((path, f"expected `at` and one of {', '.join(SUPPORTED)}"))
            continue
        at = _at(fields, path, before, faults)
        before = before if at is None else max(at, before)
        entries.append(Entry(before, _what(fields, path, faults)))
    if not entries and not faults:
        faults.append(("timeline", "expected at least one entry: its `at` is the clock"))
    return entries


def _list(value: object, path: str, faults: Faults) -> list[Any]:
    if isinstance(value, list):
        return value
    faults.append((path, "expected a list"))
    return []


def _at(fields: Mapping[str, Any], path: str, before: int, faults: Faults) -> int | None:
    text = fields.get("at")
    if not isinstance(text, str):
        faults.append((f"{path}.at", "expected an RFC 3339 time such as 2026-01-01T00:00:00Z"))
        return None
    try:
        at = parse_instant(text)
    except TimeError as error:
        faults.append((f"{path}.at", str(error)))
        return None
    if at < before:
        earlier = f"expected no earlier than {format_instant(before)}, where the timeline has been"
        faults.append((f"{path}.at", earlier))
    return at


def _what(fields: Mapping[str, Any], path: str, faults: Faults) -> Usage | Document | None:
    names = [name for name in fields if name != "at"]
    known = [name for name in names if name in SUPPORTED or name in UNSUPPORTED]
    for name in names:
        if name in UNSUPPORTED:
            faults.append((f"{path}.{name}", "not supported yet"))
        elif name not in SUPPORTED:
            faults.append(
                (f"{path}.{name}", f"unknown field, expected one of {', '.join(SUPPORTED)}")
            )
    if len(known) > 1 or not names:
        found = " and ".join(known) or "none"
        faults.append((path, f"expected exactly one of {', '.join(SUPPORTED)}, got {found}"))
    if len(names) != 1 or names[0] not in SUPPORTED:
        return None
    return _content(names[0], fields[names[0]], f"{path}.{names[0]}", faults)


def _content(name: str, fields: Any, path: str, faults: Faults) -> Usage | Document | None:  # noqa: ANN401
    if name == "tick":
        if fields != {}:
            faults.append((path, "expected {}: a tick has no fields"))
        return None
    if name == "catalog":
        return _catalog_document(fields, path, faults)
    if not isinstance(fields, dict):
        faults.append((path, "expected the fields of one, as an object"))
        return None
    if name == "usage":
        return _usage(fields, path, faults)
    kind = DOCUMENT_KINDS[name]
    if fields.get("kind", kind) != kind:
        faults.append((f"{path}.kind", f"expected {kind}, or no kind"))
        return None
    document = _document({**fields, "kind": kind}, path, faults)
    assert document is None or isinstance(document, Account | Grant)
    return document


def _catalog_document(fields: object, path: str, faults: Faults) -> Product | RateCard | None:
    if isinstance(fields, dict) and fields.get("kind") in DOCUMENT_KINDS.values():
        faults.append((f"{path}.kind", f"expected one of {', '.join(CATALOG_KINDS)}"))
        return None
    document = _document(fields, path, faults)
    assert document is None or isinstance(document, Product | RateCard)
    return document


def _document(fields: Any, path: str, faults: Faults) -> Document | None:  # noqa: ANN401 - from YAML
    parsed = parse_document(fields)
    if not isinstance(parsed, list):
        return parsed
    faults.extend(
        (f"{path}.{fault.path}" if fault.path else path, fault.detail) for fault in parsed
    )
    return None


def _usage(fields: dict[str, Any], path: str, faults: Faults) -> Usage | None:
    """The event as admission takes it; what it does not take is a fault of the file."""
    found = list(_usage_faults(fields))
    if not found:
        event = decode_structured(json_bytes({"specversion": "1.0", **fields}))
        if not isinstance(event, Refusal):
            return event
        found = [(event.path or "", event.detail)]
    faults.extend((f"{path}.{name}" if name else path, expected) for name, expected in found)
    return None


def _usage_faults(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    unsupported = [name for name in ("contract", "data_base64") if name in fields]
    yield from ((name, "not supported yet") for name in unsupported)
    attributes = {name: value for name, value in fields.items() if name not in unsupported}
    try:
        UsageEvent.model_validate(attributes)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            expected = item["msg"].removeprefix("Value error, ")
            yield ".".join(map(str, item["loc"])), expected
