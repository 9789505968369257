"""The events of a request's body: unpacked within bounds, each as the bytes that came. Pure."""

import re
import zlib
from collections.abc import Sequence
from enum import Enum
from http import HTTPStatus
from typing import Final

import msgspec
import zstandard

from projections.web.problem import Problem, too_large

MOST_EVENTS: Final = 10_000
_WINDOW_LOG: Final = 23
"""zstd frames that need a window of more than 8 MiB are refused, as RFC 9659 has it."""
_BOTH_HEADERS: Final = 47
"""zlib's `wbits` for gzip, whatever its window."""

_PIECE: Final = 256
"""Unpacked at a time: a zstd block of 4 bytes can hold 128 KiB, so this is 8 MiB at most."""

_SPACE: Final = b" \t\r\n"
_MARK: Final = re.compile(rb'(?:[^][{},"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+([][{},])', re.DOTALL)
"""What tells where an event ends, behind all that does not; no mark within a text is one."""
_CLOSED_BY: Final = {b"[": b"]", b"{": b"}"}
_MOST_MARKS: Final = 500_000
"""Looked at in half a second, in which nobody else is served."""

_zstd: Final = zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG)
_events: Final = msgspec.json.Decoder(list[msgspec.Raw])
_one: Final = msgspec.json.Decoder(msgspec.Raw)


class Shape(Enum):
    """What a content type says of the body."""

    ONE = "application/cloudevents+json"
    BATCH = "application/cloudevents-batch+json"
    EITHER = "application/json"


def shape_of(content_type: str) -> Shape:
    """What a Content-Type header announces. Raises Problem 415."""
    media = content_type.partition(";")[0].strip().lower()
    try:
        return Shape(media)
    except ValueError:
        expected = ", ".join(shape.value for shape in Shape)
        detail = f"content type {media[:100]!r}: expected one of {expected}"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail) from None


def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """`body` without its Content-Encoding. Raises Problem 413 beyond `most` bytes, 400, 415."""
    match encoding.strip().lower():
        case "" | "identity":
            found = body
        case "gzip" | "x-gzip":
            found = _gunzipped(body, most)
        case "zstd":
            found = _unzstd(body, most)
        case other:
            detail = f"content encoding {other[:100]!r}: expected gzip, zstd or none"
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    if len(found) > most:
        raise too_large(most)
    return found


def split(body: bytes, shape: Shape) -> list[bytes]:
    """Each event of the body, as its bytes. Raises Problem 400, and 413 beyond MOST_EVENTS.

    An event of a batch may be no JSON, as long as it is clear where it ends: it is refused by
    itself.
    """
    one = shape is Shape.ONE or (shape is Shape.EITHER and body.lstrip()[:1] != b"[")
    found: Sequence[msgspec.Raw | bytes] | None
    try:
        body.decode()
        found = [_one.decode(body)] if one else _events.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = None if one else _elements(body.strip(_SPACE))
        if found is None:
            detail = f"the body is not {shape.value}: {error}"
            raise Problem(HTTPStatus.BAD_REQUEST, detail) from None
    if len(found) > MOST_EVENTS:
        detail = f"{len(found)} events, at most {MOST_EVENTS} at a time"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    return [bytes(raw) for raw in found]


def _elements(body: bytes) -> list[bytes] | None:
    """What stands between the commas of an array, whatever it is; None where that is not clear."""
    found, closing, start, end = [], bytearray(), 0, 0
    for _ in range(_MOST_MARKS):
        token = _MARK.match(body, end)
        if token is None:
            return None
        mark, (at, end) = token[1], token.span(1)
        if mark in _CLOSED_BY:
            closing += _CLOSED_BY[mark]
            start = start or end
        elif mark != b",":
            if closing[-1:] != mark:
                return None
            del closing[-1]
        if len(closing) == (1 if mark == b"," else 0):  # an event ends
            found.append(body[start:at].strip(_SPACE))
            start = end
        if not closing:
            whole = body[:1] + body[end:]
            return found if whole == b"[" and all(found) else None
    return None


def _gunzipped(body: bytes, most: int) -> bytes:
    """All members of a gzip stream (RFC 1952), or one byte more than `most`."""
    found = bytearray()
    if not body:
        raise _damaged("gzip", "it ends early")
    try:
        while body and len(found) <= most:
            member = zlib.decompressobj(_BOTH_HEADERS)
            found += member.decompress(body, most + 1 - len(found))
            if not member.eof and len(found) <= most:
                raise _damaged("gzip", "it ends early")
            body = member.unused_data
    except zlib.error as error:
        raise _damaged("gzip", error) from None
    return bytes(found)


def _unzstd(body: bytes, most: int) -> bytes:
    """All frames of a zstd stream (RFC 8878), or a little more than `most` bytes of it."""
    found = bytearray()
    frame = None
    start = 0
    try:
        while start < len(body) and len(found) <= most:
            frame = frame or _zstd.decompressobj()
            piece = body[start : start + _PIECE]
            found += frame.decompress(piece)
            start += len(piece)
            if frame.eof:
                start -= len(frame.unused_data)
                frame = None
    except zstandard.ZstdError as error:
        raise _damaged("zstd", error) from None
    if len(found) <= most and (frame is not None or not body):
        raise _damaged("zstd", "it ends early")
    return bytes(found)


def _damaged(encoding: str, error: object) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, f"the body is not {encoding}: {error}")
