"""From bytes or loaded YAML to a document, or to every fault in it with its path."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.coverage import unsupported_faults
from schemas.documents.account import Account, Grant
from schemas.documents.catalog import Product, RateCard
from schemas.documents.fields import CONTRADICTION
from schemas.reasons import Reason, Refusal
from schemas.strict_json import load_json, shape_fault

Document = Product | RateCard | Account | Grant
MODELS: Final[dict[str, type[Product] | type[RateCard] | type[Account] | type[Grant]]] = {
    "Product": Product,
    "RateCard": RateCard,
    "Account": Account,
    "Grant": Grant,
}
CATALOG_KINDS: Final = ("Product", "RateCard")
_PRICE_TAGS: Final = ("unit", "flat", "package")


def parse_document(raw: bytes | dict[str, Any]) -> Document | list[Refusal]:
    """A document from JSON bytes or from loaded JSON or YAML; else its faults, never an exception.

    What is not supported yet comes first; then the other faults in the order of the model's fields.
    """
    loaded = load_json(raw) if isinstance(raw, bytes) else raw
    fault = loaded if isinstance(loaded, Refusal) else shape_fault(loaded)
    if fault is not None:
        return [fault]
    if not isinstance(loaded, dict):
        return [Refusal(Reason.INVALID_DOCUMENT, "expected an object with `kind` and `id`")]
    kind = loaded.get("kind")
    unsupported = unsupported_faults(kind, loaded)
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        return unsupported or [_unknown_kind(loaded)]
    try:
        document = model.model_validate(loaded)
    except ValidationError as error:
        found = [fault for item in _meant(error) for fault in _faults(item)]
        return unsupported + [fault for fault in found if not _said_by(unsupported, fault)]
    return unsupported or document


def canonical(document: Document) -> bytes:
    """Compact JSON with sorted keys, defaults filled in and canonical numbers."""
    content = document.model_dump(mode="json")
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _unknown_kind(loaded: dict[str, Any]) -> Refusal:
    expected = f"expected one of {', '.join(MODELS)}"
    if "kind" not in loaded:
        return Refusal(Reason.UNKNOWN_KIND, expected, "kind")
    return Refusal(Reason.UNKNOWN_KIND, f"{expected}, got {str(loaded['kind'])[:64]!r}", "kind")


def _said_by(unsupported: list[Refusal], fault: Refusal) -> bool:
    path = fault.path or ""
    return any(
        path == said or path.startswith((f"{said}.", f"{said}[")) or said.startswith(f"{path}.")
        for said in (refusal.path or "" for refusal in unsupported)
    )


def _meant(error: ValidationError) -> list[ErrorDetails]:
    """Its items without those that say a list is too short because its elements were refused."""
    items = error.errors(include_url=False)
    parents = {item["loc"][:length] for item in items for length in range(len(item["loc"]))}
    return [item for item in items if item["type"] != "too_short" or item["loc"] not in parents]


def _faults(item: ErrorDetails) -> Iterator[Refusal]:
    path = _path(item["loc"])
    if item["type"] == CONTRADICTION:
        for inner, expected in item["ctx"]["faults"]:
            yield Refusal(Reason.INVALID_DOCUMENT, expected, f"{path}.{inner}" if path else inner)
        return
    if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
        path, message = f"{path}.model", f"expected one of {', '.join(_PRICE_TAGS)}"
    elif item["type"] == "extra_forbidden":
        message = "unknown field"
    else:
        message = item["msg"].removeprefix("Value error, ")
    yield Refusal(Reason.INVALID_DOCUMENT, message, path or None)


def _path(location: tuple[int | str, ...]) -> str:
    path, before = "", None
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]" and not (before == "price" and part in _PRICE_TAGS):
            path += f".{part}" if path else part
        before = part
    return path
