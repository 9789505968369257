"""What credits.md knows and this release does not support yet: refused, never ignored.

A table of kinds, fields and values. When one becomes supported, its entry goes. A path is dotted,
and `[]` after a name stands for each element of that list.
"""

from collections.abc import Iterator
from typing import Any, Final

from schemas.numbers import NumberError, Quantity
from schemas.reasons import Reason, Refusal

KINDS: Final = frozenset(
    {
        "Contract",
        "Pack",
        "void_grant",
        "refund_grant",
        "adjust_grant",
        "fund_grant",
        "purchase",
        "void_usage",
        "amend_contract",
        "terminate_contract",
        "set_seats",
        "settle_overage",
        "top_up_failed",
        "replay",
    }
)
FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "Product": ("tags", "meter.filter"),
    "RateCard": (),
    "Account": (
        "burn_policy",
        "limits",
        "recurring",
        "fees",
        "top_up",
        "overage.cap",
        "overage.grace",
        "alerts[].products",
        "alerts[].at_most_daily",
    ),
    "Grant": ("contract", "tags", "rollover", "funding", "request"),
}
VALUES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "Product": {"meter.aggregation": ("max", "unique")},
    "RateCard": {"versions[].rates[].price.model": ("graduated", "volume")},
    "Account": {
        "overage.mode": ("cap", "grace", "block"),
        "overage.settle": ("next_grant",),
        "alerts[].measure": ("days_left", "grant_expiring"),
    },
    "Grant": {},
}


def unsupported_faults(kind: object, document: dict[str, Any]) -> list[Refusal]:
    """Every place in `document` that asks for what is not supported yet."""
    if not isinstance(kind, str):
        return []
    if kind in KINDS:
        return [_fault("kind", f"{kind} is not supported yet")]
    if kind not in FIELDS:
        return []
    faults = [
        _fault(place, "not supported yet")
        for path in FIELDS[kind]
        for place, _ in _places(document, path)
    ]
    faults.extend(
        _fault(place, f"{value} is not supported yet")
        for path, values in VALUES[kind].items()
        for place, value in _places(document, path)
        if isinstance(value, str) and value in values
    )
    if kind == "Account":
        faults.extend(_multiplier_faults(document))
    return faults


def _multiplier_faults(document: dict[str, Any]) -> Iterator[Refusal]:
    for place, value in _places(document, "overage.multiplier"):
        try:
            if Quantity.parse(value) != Quantity.parse("1"):
                yield _fault(place, "only 1 is supported yet")
        except NumberError:
            return  # no number at all: the model says so


def _places(value: object, path: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each place that `path` names in `value`, written out, with what stands there."""
    name, _, rest = path.partition(".")
    key = name.removesuffix("[]")
    if not isinstance(value, dict) or key not in value:
        return
    here, found = f"{prefix}{key}", value[key]
    if name == key:
        items = [(here, found)]
    else:
        listed = found if isinstance(found, list) else []
        items = [(f"{here}[{index}]", item) for index, item in enumerate(listed)]
    for place, item in items:
        if rest:
            yield from _places(item, rest, f"{place}.")
        else:
            yield place, item


def _fault(path: str, detail: str) -> Refusal:
    return Refusal(Reason.UNSUPPORTED, detail, path)
