"""One posted event -> what is sent for it, or why not. Pure.

The event is checked by the function that admission reads it with, so what the door takes is refused
later only for what the door cannot know: its time against the log's clock, and whether its key came
before.
"""

from typing import Final, NamedTuple

import msgspec

from projections.web.keys import Key
from schemas.envelope import NULL, decode_structured
from schemas.reasons import Reason, Refusal


class _Timed(msgspec.Struct, gc=False):
    time: msgspec.Raw = msgspec.Raw(NULL)


_timed: Final = msgspec.json.Decoder(_Timed)
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SHOWN: Final = 256
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Posted(NamedTuple):
    """A well-formed event: the account that it is keyed by, and its bytes."""

    account: str
    value: bytes


class Invalid(msgspec.Struct, frozen=True):
    """An event that was not taken: its place in the request, its id if it has one, and why."""

    index: int
    id: str | None
    errors: list[dict[str, str | None]]


def examine(value: bytes, key: Key | None) -> Posted | Refusal:
    """The event that `value` holds, if `key` may send it (None: whoever asks may send all)."""
    event = decode_structured(value)
    if isinstance(event, Refusal):
        return event
    if key is not None:
        if not key.sends_of(event.source):
            detail = f"this key may not send for source {event.source}"
            return Refusal(Reason.FORBIDDEN, detail, "source")
        if not key.sends_for(event.account):
            detail = f"this key may not send for account {event.account}"
            return Refusal(Reason.FORBIDDEN, detail, "subject")
    return Posted(event.account, value)


def invalid(index: int, value: bytes, why: Refusal) -> Invalid:
    """How an event that was refused is told."""
    return Invalid(
        index,
        _id_of(value),
        [{"reason": str(why.reason), "path": why.path, "detail": why.detail}],
    )


def with_time(value: bytes, now: str) -> bytes:
    """`value` with `now` as its time where it has none, as OpenMeter's API has it.

    A retry then carries another time, which does not make it another event (credits.md section 9).
    """
    try:
        if bytes(_timed.decode(value).time) != NULL:
            return value
        members = _members.decode(value)
    except _UNREADABLE:
        return value  # `examine` says what is wrong
    members["time"] = msgspec.Raw(msgspec.json.encode(now))
    return msgspec.json.encode(members)


def _id_of(value: bytes) -> str | None:
    try:
        found = msgspec.json.decode(_members.decode(value).get("id", b"null"))
    except _UNREADABLE:
        return None
    return found[:_SHOWN] if isinstance(found, str) else None
