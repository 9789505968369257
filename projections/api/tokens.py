"""What clients hand back without looking into it: cursors, and `min_position`. Pure.

Both are base64url of msgpack. Nothing secret is in them, and nothing in them is trusted: whoever
changes one gets another page, or waits for what was never written.
"""

import base64
from typing import Annotated, Final, TypeVar

import msgspec

LONGEST: Final = 16_384
"""Characters of a token: a request writes to no more partitions than it has documents."""
_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Place = tuple[_Offset, _Offset, _Offset]
T = TypeVar("T")


class TokenError(ValueError):
    """A text that is no token of the kind."""


class Written(msgspec.Struct, frozen=True, array_like=True):
    """What a request wrote: the offsets behind its last records, of the catalog and of credits.

    `credits` by partition; a catalog of 0: nothing was written there.
    """

    catalog: _Offset = 0
    credits: dict[_Offset, _Offset] = msgspec.field(default_factory=dict)

    def needed(self, partition: int) -> tuple[int, int]:
        """The offsets that a partition's source vector must reach: catalog, credits."""
        return self.catalog, self.credits.get(partition, 0)


class AccountsCursor(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """Where a listing of accounts goes on: Redis's own cursor in one namespace of a partition."""

    partition: _Offset
    namespace: str
    scan: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,20}$")]


class GrantsCursor(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """Where a listing of grants goes on: below a number while they are live, then by id."""

    below: _Offset | None
    retired: str | None


class ContractsCursor(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """Where a listing of contracts goes on: behind an id."""

    after: str


class LedgerCursor(msgspec.Struct, frozen=True, array_like=True, tag="l"):
    """Where a ledger goes on: the record's offset, and the journal position reached in it."""

    newest: bool
    offset: _Offset
    place: _Place


class AlertsCursor(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """Where alerts go on: the offset."""

    newest: bool
    offset: _Offset


def encode(value: msgspec.Struct) -> str:
    """The token."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(value)).decode().rstrip("=")


def decode(token: str, kind: type[T]) -> T:
    """The inverse of `encode`. Raises TokenError."""
    if len(token) > LONGEST:
        raise TokenError(f"expected at most {LONGEST} characters")
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise TokenError("expected what an answer gave") from error
