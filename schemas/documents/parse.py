"""From bytes or loaded YAML to a document, or to every fault in it with its path."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.documents.account import Account
from schemas.documents.catalog import Pack, Product, RateCard
from schemas.documents.commands import COMMANDS, Command
from schemas.documents.contract import Contract
from schemas.documents.fields import CONTRADICTION
from schemas.documents.grant import Grant
from schemas.reasons import Reason, Refusal
from schemas.strict_json import load_json, shape_fault

Document = Product | RateCard | Pack | Account | Contract | Grant | Command

_CATALOG: Final[tuple[type[Document], ...]] = (Product, RateCard, Pack)
_CREDITS: Final[tuple[type[Document], ...]] = (Account, Contract, Grant, *COMMANDS)


def _kind(model: type[Document]) -> str:
    kind: str = model.model_fields["kind"].default
    return kind


MODELS: Final[dict[str, type[Document]]] = {_kind(model): model for model in _CATALOG + _CREDITS}
CATALOG_KINDS: Final = tuple(map(_kind, _CATALOG))
CREDITS_KINDS: Final = tuple(map(_kind, _CREDITS))
COMMAND_KINDS: Final = CREDITS_KINDS[-len(COMMANDS) :]

_PRICES: Final = ("unit", "flat", "package", "graduated", "volume")
_ALTERNATIVES: Final = {
    "price": _PRICES,
    "rate_card": ("<id>", "<pinned>"),
    "cap": ("<credits>", "<percent>"),
}
"""What pydantic puts behind a field's name to say which alternative it took."""


def parse_document(raw: bytes | dict[str, Any]) -> Document | list[Refusal]:
    """A document from JSON bytes or from loaded JSON or YAML; else its faults, never an exception.

    The faults come in the order of the model's fields.
    """
    loaded = load_json(raw) if isinstance(raw, bytes) else raw
    fault = loaded if isinstance(loaded, Refusal) else shape_fault(loaded)
    if fault is not None:
        return [fault]
    if not isinstance(loaded, dict):
        return [Refusal(Reason.INVALID_DOCUMENT, "expected an object with `kind` and `id`")]
    kind = loaded.get("kind")
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        return [_unknown_kind(loaded)]
    try:
        return model.model_validate(loaded)
    except ValidationError as error:
        return [fault for item in _meant(error) for fault in _faults(item)]


def canonical(document: Document) -> bytes:
    """Compact JSON with sorted keys, defaults filled in and canonical numbers."""
    return msgspec.json.encode(document.model_dump(), order="deterministic")


def _unknown_kind(loaded: dict[str, Any]) -> Refusal:
    expected = f"expected one of {', '.join(MODELS)}"
    if "kind" not in loaded:
        return Refusal(Reason.UNKNOWN_KIND, expected, "kind")
    return Refusal(Reason.UNKNOWN_KIND, f"{expected}, got {str(loaded['kind'])[:64]!r}", "kind")


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
        path, message = f"{path}.model", f"expected one of {', '.join(_PRICES)}"
    elif item["type"] == "extra_forbidden":
        message = "unknown field"
    else:
        message = item["msg"].removeprefix("Value error, ")
    yield Refusal(Reason.INVALID_DOCUMENT, message, path or None)


def _path(location: tuple[int | str, ...]) -> str:
    path: str = ""
    before: int | str | None = None
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]" and part not in _ALTERNATIVES.get(str(before), ()):
            path += f".{part}" if path else part
        before = part
    return path
