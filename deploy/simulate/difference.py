"""What differs between the results of two scenarios: `before` and `after` a change. Pure.

By account: totals, and what its lines cost in all. By grant and by line: the fields that differ,
each with both values, null where there is no such grant or line. Alerts, refusals and waiting usage
are either on both sides or on one: those of one side are told.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from schemas.numbers import CREDIT_DECIMALS, Credits, format_units

Result = dict[str, Any]
_TOTALS: Final = ("available", "consumed", "overage")
_ONE_SIDED: Final = ("alerts", "rejected", "unrated")


def difference(before: Result, after: Result) -> Result:
    """What differs between two results of `deploy.simulate.report.report`; empty where nothing."""
    found: Result = {
        "accounts": _changes(_accounts(before), _accounts(after), ("account",)),
        "grants": _changes(_grants(before), _grants(after), ("account", "grant")),
        "lines": _changes(_lines(before), _lines(after), ("account", "event", "product")),
        **{name: _one_sided(before[name], after[name]) for name in _ONE_SIDED},
    }
    costs = _cost(before["lines"]), _cost(after["lines"])
    if costs[0] != costs[1]:
        found["cost"] = dict(zip(("before", "after"), costs, strict=True))
    return {name: value for name, value in found.items() if value}


def _accounts(result: Result) -> dict[Any, Any]:
    return {
        (name,): {total: entry[total] for total in _TOTALS}
        | {"cost": _cost(line for line in result["lines"] if line["account"] == name)}
        for name, entry in result["accounts"].items()
    }


def _grants(result: Result) -> dict[Any, Any]:
    return {
        (name, grant["id"]): {key: value for key, value in grant.items() if key != "id"}
        for name, entry in result["accounts"].items()
        for grant in entry["grants"]
    }


def _lines(result: Result) -> dict[Any, Any]:
    """By account, event, product and which line of these it is: a void has the same names."""
    count: Counter[tuple[str, str, str]] = Counter()
    found = {}
    for line in result["lines"]:
        names = (line["account"], line["event"], line["product"])
        found[*names, count[names]] = {
            key: value for key, value in line.items() if key not in ("account", "event", "product")
        }
        count[names] += 1
    return found


def _changes(
    before: Mapping[Any, Any], after: Mapping[Any, Any], names: tuple[str, ...]
) -> list[Result]:
    """The keys of either side whose fields differ, those of `before` first, with these fields."""
    found = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key, {}), after.get(key, {})
        fields = {
            name: {"before": old.get(name), "after": new.get(name)}
            for name in dict.fromkeys((*old, *new))
            if old.get(name) != new.get(name)
        }
        if fields:
            found.append({**dict(zip(names, key, strict=False)), **fields})
    return found


def _one_sided(before: list[Result], after: list[Result]) -> dict[str, list[Result]]:
    """Which entries only one side has, by side; an entry that comes twice counts twice."""
    sides = {"before": _beyond(before, after), "after": _beyond(after, before)}
    return {side: entries for side, entries in sides.items() if entries}


def _beyond(entries: list[Result], others: list[Result]) -> list[Result]:
    left = Counter(map(_text, others))
    found = []
    for entry in entries:
        if left[_text(entry)]:
            left[_text(entry)] -= 1
        else:
            found.append(entry)
    return found


def _text(entry: Result) -> bytes:
    return msgspec.json.encode(entry, order="deterministic")


def _cost(lines: Iterable[Result]) -> str:
    return format_units(sum(Credits.parse(line["cost"]).units for line in lines), CREDIT_DECIMALS)
