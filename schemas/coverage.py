"""What credits.md knows and this release does not support yet: refused, never ignored.

A table of fields, values and kinds. When one becomes supported, its line goes.
"""

from typing import Any, Final

from schemas.reasons import Reason, Refusal

_KINDS: Final = frozenset(
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
_FIELDS: Final = {
    "Product": ("tags", "meter.filter"),
    "RateCard": (),
    "Account": ("burn_policy", "limits", "recurring", "fees", "top_up"),
    "Grant": ("contract", "tags", "rollover", "funding", "request"),
}
_VALUES: Final = {
    "Product": {"meter.aggregation": ("max", "unique")},
    "Account": {
        "overage.mode": ("cap", "grace", "block"),
        "overage.settle": ("next_grant",),
    },
}
_OVERAGE_FIELDS: Final = ("cap", "grace")
_MEASURES: Final = ("days_left", "grant_expiring")
_RULE_FIELDS: Final = ("products", "at_most_daily")
_PRICE_MODELS: Final = ("graduated", "volume")


def unsupported_faults(kind: object, document: dict[str, Any]) -> list[Refusal]:
    """Every place in `document` that asks for what is not supported yet."""
    if kind in _KINDS:
        return [_fault("kind", f"{kind} is not supported yet")]
    if not isinstance(kind, str) or kind not in _FIELDS:
        return []
    faults = [
        _fault(path, "not supported yet")
        for path in _FIELDS[kind]
        if _at(document, path) is not None
    ]
    for path, values in _VALUES.get(kind, {}).items():
        value = _at(document, path)
        if isinstance(value, str) and value in values:
            faults.append(_fault(path, f"{value} is not supported yet"))
    if kind == "RateCard":
        faults.extend(_rate_faults(document))
    if kind == "Account":
        faults.extend(_account_faults(document))
    return faults


def _rate_faults(document: dict[str, Any]) -> list[Refusal]:
    faults = []
    for v, version in enumerate(_items(document.get("versions"))):
        for r, rate in enumerate(_items(version.get("rates"))):
            model = _at(rate, "price.model")
            if isinstance(model, str) and model in _PRICE_MODELS:
                path = f"versions[{v}].rates[{r}].price.model"
                faults.append(_fault(path, f"{model} is not supported yet"))
    return faults


def _account_faults(document: dict[str, Any]) -> list[Refusal]:
    faults = [
        _fault(f"overage.{name}", "not supported yet")
        for name in _OVERAGE_FIELDS
        if _at(document, f"overage.{name}") is not None
    ]
    multiplier = _at(document, "overage.multiplier")
    if multiplier is not None and str(multiplier) != "1":
        faults.append(_fault("overage.multiplier", "only 1 is supported yet"))
    for index, rule in enumerate(_items(document.get("alerts"))):
        measure = rule.get("measure")
        if isinstance(measure, str) and measure in _MEASURES:
            faults.append(_fault(f"alerts[{index}].measure", f"{measure} is not supported yet"))
        faults.extend(
            _fault(f"alerts[{index}].{name}", "not supported yet")
            for name in _RULE_FIELDS
            if rule.get(name) is not None
        )
    return faults


def _items(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _at(document: dict[str, Any], path: str) -> object:
    value: object = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _fault(path: str, detail: str) -> Refusal:
    return Refusal(Reason.UNSUPPORTED, detail, path)
