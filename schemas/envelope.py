"""One usage record -> one CloudEvents 1.0 envelope, or the reason why not. Pure.

Each record is decoded by itself, never joined with others: whatever its bytes are, its neighbours
do not notice. `data` stays the bytes that came, so the journal can be rated again under any
catalog; it is valid UTF-8 and JSON, at most DEPTH deep, or None.

The first fault found decides, in this order: `unsupported` content mode, `too_large`, `not_utf8`,
`malformed_json`, `too_deep` (so deep that it cannot be read at all: always that), then by
attribute in the order of REQUIRED `invalid_envelope` (or `unsupported` for another specversion),
then `contract`, names of extensions, and `unsupported` attributes. Of a member given twice the last
counts; a `contract` of null is none. Other extension attributes are allowed and not kept.

Two paths with one answer: msgspec reads the common form at once; whatever it does not accept is
read again slowly by `_explain`, which alone refuses.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from schemas.reasons import Reason, Refusal
from schemas.times import TimeError, parse_instant
from schemas.topics import MAX_INPUT_BYTES

DEPTH: Final = 64
MAX_ATTRIBUTE: Final = 256
REQUIRED: Final = ("specversion", "id", "source", "type", "subject", "time")
_UNSUPPORTED: Final = ("data_base64",)

Headers = Sequence[tuple[str, bytes | None]]

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_NAME: Final = re.compile(r"[a-z0-9]{1,20}")
# A string (open-ended ones too, so a scan is linear whatever the bytes), or a bracket.
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
NULL: Final = b"null"
_CLOUDEVENTS: Final = b"application/cloudevents"
MICROSECONDS: Final = 1_000_000
MICROSECOND_DIGITS: Final = 6
MOST_SECONDS: Final = 1 << 16
_seconds: Final[dict[str, int]] = {}
_SCALE: Final[tuple[int, ...]] = tuple(10 ** (MICROSECOND_DIGITS - digits) for digits in range(7))


class Usage(msgspec.Struct, gc=False):
    """A well-formed usage event. `time` in microseconds; `data` JSON bytes or None.

    `contract` is the contract that it names, if it names one.
    """

    account: str
    source: str
    id: str
    type: str
    time: int
    contract: str | None
    data: bytes | None


class Envelope(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The common form, as msgspec reads it; its attributes are still to be checked."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    contract: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    datacontenttype: str | None = None
    dataschema: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_decode_any = msgspec.json.Decoder().decode


def decode_event(value: bytes | None, headers: Headers | None) -> Usage | Refusal:
    """The event that a record holds, in structured or binary content mode."""
    if headers and not is_structured(headers):
        named, content = _content_type(headers)
        if content.startswith(_CLOUDEVENTS):
            return Refusal(Reason.UNSUPPORTED, f"content type {_show(content)}", "content-type")
        return _decode_binary(value, named, content)
    return decode_structured(value or b"")


def is_structured(headers: Headers) -> bool:
    """Whether the record's value is a whole event in JSON, whatever else its headers say."""
    named, content = _content_type(headers)
    if content.startswith(_CLOUDEVENTS):
        return content.startswith(b"application/cloudevents+json")
    return "ce_specversion" not in named


def _content_type(headers: Headers) -> tuple[dict[str, bytes | None], bytes]:
    named = {name.lower(): text for name, text in headers}
    return named, (named.get("content-type") or b"").lower()


def decode_structured(value: bytes) -> Usage | Refusal:
    """The event of one JSON object with its attributes and `data`.

    `processors.admission.columns` takes in columns what this accepts without `_explain`: change
    both together.
    """
    if (
        len(value) > MAX_INPUT_BYTES
        or not (value.isascii() or is_utf8(value))
        or value.count(b"{") > DEPTH // 2
        or (b"[" in value and value.count(b"[") > DEPTH // 2)
    ):
        return _explain(value)
    try:
        found = decode_envelope(value)
        time = instant(found.time)
    except (msgspec.DecodeError, TimeError):
        return _explain(value)
    account, identity, source, kind = found.subject, found.id, found.source, found.type
    contract = found.contract
    if (
        found.specversion == "1.0"
        and 0 < len(identity) <= MAX_ATTRIBUTE
        and 0 < len(source) <= MAX_ATTRIBUTE
        and 0 < len(kind) <= MAX_ATTRIBUTE
        and is_id(account)
        and (contract is None or is_id(contract))
    ):
        data = bytes(found.data)
        kept = None if not data or data == NULL else data
        return Usage(account, source, identity, kind, time, contract, kept)
    return _explain(value)


@lru_cache(maxsize=1 << 18)
def is_id(text: str) -> bool:
    """Whether `text` can be the id of an account or a contract (credits.md section 3)."""
    return _ID.fullmatch(text) is not None


def instant(text: str) -> int:
    """`schemas.times.parse_instant`, with what events of one second share remembered."""
    second = _seconds.get(text[:20])
    if second is not None and text[-1] == "Z":
        fraction = text[20:-1]
        if len(fraction) <= MICROSECOND_DIGITS and fraction.isdecimal() and fraction.isascii():
            return second + int(fraction) * _SCALE[len(fraction)]
    time = parse_instant(text)
    if text[19:20] == "." and text[-1] == "Z":
        if len(_seconds) >= MOST_SECONDS:
            _seconds.clear()
        _seconds[text[:20]] = time - time % MICROSECONDS
    return time


def depth_of(value: bytes) -> int:
    """How deep the brackets of a JSON text nest, strings left out. Linear, for any bytes."""
    depth = deepest = 0
    for token in _BRACKETS.finditer(value):
        first = value[token.start()]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    return deepest


def _explain(value: bytes) -> Usage | Refusal:
    if refusal := _refuse_json(value):
        return refusal
    try:
        members = _decode_members(value)
    except msgspec.ValidationError:
        return Refusal(Reason.INVALID_ENVELOPE, "expected a JSON object", None)
    data = members.pop("data", None)
    body = None if data is None else bytes(data)
    attributes = {name: _attribute(raw) for name, raw in members.items()}
    return _assemble(attributes, None if body == NULL else body)


def _attribute(raw: msgspec.Raw) -> object:
    try:
        return _decode_any(raw)
    except msgspec.ValidationError:
        return 0  # a number out of every range: no attribute is a number, so any stands for it


def _decode_binary(
    value: bytes | None, headers: Mapping[str, bytes | None], content: bytes
) -> Usage | Refusal:
    """Binary content mode: attributes in `ce_` headers, the value is `data`."""
    attributes: dict[str, object] = {}
    for name, text in headers.items():
        if name.startswith("ce_"):
            try:
                attributes[name[3:]] = (text or b"").decode()
            except UnicodeDecodeError:
                return Refusal(Reason.NOT_UTF8, f"header {name} is not UTF-8", name)
    if not value:
        return _assemble(attributes, None)
    media = content.partition(b";")[0].strip()
    if media and media != b"application/json" and not media.endswith(b"+json"):
        return Refusal(Reason.UNSUPPORTED, f"data of type {_show(media)}", "content-type")
    if refusal := _refuse_json(value):
        return refusal
    body = bytes(_decode_raw(value))
    return _assemble(attributes, None if body == NULL else body)


def _refuse_json(value: bytes) -> Refusal | None:
    if len(value) > MAX_INPUT_BYTES:
        detail = f"{len(value)} bytes, at most {MAX_INPUT_BYTES}"
        return Refusal(Reason.TOO_LARGE, detail, None)
    if not is_utf8(value):
        return Refusal(Reason.NOT_UTF8, "the record is not UTF-8", None)
    try:
        _decode_raw(value)
    except msgspec.DecodeError as error:
        return Refusal(Reason.MALFORMED_JSON, str(error), None)
    except RecursionError:
        return Refusal(Reason.TOO_DEEP, f"at most {DEPTH} levels are read", None)
    if (depth := depth_of(value)) > DEPTH:
        return Refusal(Reason.TOO_DEEP, f"nested {depth} deep, at most {DEPTH}", None)
    return None


def _assemble(attributes: Mapping[str, object], data: bytes | None) -> Usage | Refusal:
    texts: dict[str, str] = {}
    for name in REQUIRED:
        text = attributes.get(name)
        if refusal := _refuse_attribute(name, text):
            return refusal
        texts[name] = str(text)
    contract = attributes.get("contract")
    if contract is not None and not (isinstance(contract, str) and is_id(contract)):
        detail = "expected a contract id: [A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
        return Refusal(Reason.INVALID_ENVELOPE, detail, "contract")
    for name in attributes:
        if name not in _UNSUPPORTED and not _NAME.fullmatch(name):
            detail = "attribute names are 1 to 20 of a-z and 0-9"
            return Refusal(Reason.INVALID_ENVELOPE, detail, name[:MAX_ATTRIBUTE])
        if isinstance(attributes[name], dict | list):
            return Refusal(Reason.INVALID_ENVELOPE, "an attribute is not a structure", name)
    for name in _UNSUPPORTED:
        if attributes.get(name) is not None:
            return Refusal(Reason.UNSUPPORTED, f"{name} is not supported yet", name)
    time = parse_instant(texts["time"])
    return Usage(
        texts["subject"], texts["source"], texts["id"], texts["type"], time, contract, data
    )


def _refuse_attribute(name: str, text: object) -> Refusal | None:  # noqa: PLR0911 - a table
    if text is None:
        return Refusal(Reason.INVALID_ENVELOPE, f"{name} is missing", name)
    if not isinstance(text, str):
        found = type(text).__name__
        return Refusal(Reason.INVALID_ENVELOPE, f"expected a string, found {found}", name)
    if not 0 < len(text) <= MAX_ATTRIBUTE:
        detail = f"expected 1 to {MAX_ATTRIBUTE} characters, found {len(text)}"
        return Refusal(Reason.INVALID_ENVELOPE, detail, name)
    if name == "specversion" and text != "1.0":
        return Refusal(Reason.UNSUPPORTED, 'expected specversion "1.0"', name)
    if name == "subject" and not is_id(text):
        detail = "expected an account id: [A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
        return Refusal(Reason.INVALID_ENVELOPE, detail, name)
    if name == "time":
        try:
            parse_instant(text)
        except TimeError as error:
            return Refusal(Reason.INVALID_ENVELOPE, str(error), name)
    return None


def is_utf8(value: bytes) -> bool:
    """Whether `value` is UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _show(text: bytes) -> str:
    return text[:MAX_ATTRIBUTE].decode(errors="backslashreplace")
