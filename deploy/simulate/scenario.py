"""A scenario file, checked: what happens, in the order of the log, each thing with its time. Pure.

```yaml
catalog:  [Product, RateCard and Pack documents, in force from the beginning]
timeline: [{at: …, and one of usage, tick, catalog, account, contract, grant or a command}, …]
```

A file is valid or it is refused as a whole, with the path of every bad field
(`timeline[1].grant.amount`) and what was expected there. What depends on what went before (a
duplicate, an unknown account, a version in effect) is not a fault of the file: it is found when
the scenario runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from deploy.simulate.contents import SUPPORTED, Faults, catalog_document, content_of
from schemas.documents import Document
from schemas.envelope import DEPTH, Usage
from schemas.errors import DocumentError
from schemas.strict_json import shape_fault
from schemas.times import TimeError, format_instant, parse_instant
from schemas.yaml import load_yaml

_PARTS: Final = ("catalog", "timeline")
_LEVELS: Final = DEPTH + 8
"""Of the whole file: `data` as deep as admission takes it, below its place in the timeline."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What arrives at `at` (microseconds): usage, a document, or None for nothing but the time.

    A command is a document too; the lines of a `void_usage` are looked up as it arrives.
    """

    at: int
    what: Usage | Document | None


def parse_scenario(text: str) -> list[Entry]:
    """The entries of a scenario, the catalog's first, at the time of the first of the timeline.

    Raises DocumentError that holds every fault, each with its path.
    """
    return parse_loaded(load_scenario(text))


def load_scenario(text: str) -> dict[str, Any]:
    """The parts of a scenario by name, unchecked. Raises DocumentError for any other text."""
    found = load_yaml(text)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise DocumentError([("scenario", "expected one YAML document with catalog and timeline")])
    fault = shape_fault(found[0], _LEVELS)
    if fault is not None:
        raise DocumentError([("scenario", fault.detail)])
    scenario: dict[str, Any] = found[0]
    return scenario


def parse_loaded(scenario: Mapping[str, Any]) -> list[Entry]:
    """The entries of a scenario that was loaded. Raises DocumentError."""
    faults: Faults = [
        (name, f"unknown field, expected {' and '.join(_PARTS)}")
        for name in scenario
        if name not in _PARTS
    ]
    catalog = [
        catalog_document(fields, f"catalog[{index}]", faults)
        for index, fields in enumerate(elements(scenario.get("catalog", []), "catalog", faults))
    ]
    timeline = _timeline(scenario, faults)
    if faults:
        raise DocumentError(faults)
    return [*(Entry(timeline[0].at, document) for document in catalog), *timeline]


def _timeline(scenario: Mapping[str, Any], faults: Faults) -> list[Entry]:
    entries: list[Entry] = []
    before = 0
    for index, fields in enumerate(elements(scenario.get("timeline"), "timeline", faults)):
        path = f"timeline[{index}]"
        if not isinstance(fields, dict):
            faults.append((path, f"expected `at` and one of {', '.join(SUPPORTED)}"))
            continue
        at = _at(fields, path, before, faults)
        before = before if at is None else max(at, before)
        entries.append(Entry(before, _what(fields, index, path, faults)))
    if not entries and not faults:
        faults.append(("timeline", "expected at least one entry: its `at` is the clock"))
    return entries


def elements(value: object, path: str, faults: Faults) -> list[Any]:
    """The elements of a list; none, and a fault, where it is not one."""
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


def _what(
    fields: Mapping[str, Any], index: int, path: str, faults: Faults
) -> Usage | Document | None:
    names = [name for name in fields if name != "at"]
    known = [name for name in names if name in SUPPORTED]
    for name in names:
        if name not in SUPPORTED:
            expected = f"unknown field, expected one of {', '.join(SUPPORTED)}"
            faults.append((f"{path}.{name}", expected))
    if len(known) > 1 or not names:
        found = " and ".join(known) or "none"
        faults.append((path, f"expected exactly one of {', '.join(SUPPORTED)}, got {found}"))
    if len(names) != 1 or not known:
        return None
    return content_of(names[0], fields[names[0]], index, f"{path}.{names[0]}", faults)
