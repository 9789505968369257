"""Commands: what is done once to an account (credits.md sections 3, 6, 9 and 10).

A command's identity is (account, kind, id), of one that ends a hold (account, kind, hold, id): sent
again it changes nothing.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import Field, PlainSerializer

from schemas.documents.contract import Contract
from schemas.documents.fields import (
    Counted,
    Fault,
    GrantId,
    HoldTime,
    Id,
    Name,
    NotZeroCredits,
    PositiveCredits,
    Strict,
    Whole,
    WholeQuantity,
)
from schemas.numbers import Credits, NumberText, Quantity
from schemas.strict_json import MAX_DOCUMENT_BYTES
from schemas.times import Instant


class Command(Strict):
    """The base of every command."""

    kind: str
    id: Id
    account: Id


class VoidGrant(Command):
    """What remains of a grant stops being spendable."""

    kind: Literal["void_grant"] = "void_grant"
    grant: GrantId


class RefundGrant(Command):
    """What remains of a grant leaves, with its cost."""

    kind: Literal["refund_grant"] = "refund_grant"
    grant: GrantId


class AdjustGrant(Command):
    """`amount` more (or, negative, less) was issued."""

    kind: Literal["adjust_grant"] = "adjust_grant"
    grant: GrantId
    amount: NotZeroCredits
    reason: Name | None = None


class FundGrant(Command):
    """A pending grant was paid."""

    kind: Literal["fund_grant"] = "fund_grant"
    grant: GrantId


class Purchase(Command):
    """`quantity` packs are bought, for the wallet or for a contract."""

    kind: Literal["purchase"] = "purchase"
    pack: Id
    quantity: WholeQuantity
    contract: Id | None = None
    effective_at: Instant | None = None


class VoidedSlice(Strict):
    """What a recorded line drew from one grant."""

    grant: GrantId
    amount: Credits


class VoidedLine(Strict):
    """A line as the ledger recorded it. `match`, `price` and `entities` are texts of JSON."""

    product: Id
    contract: Id | None = None
    match: str | None = None
    rate_card: Id | None = None
    version: Counted | None = None
    revision: Whole | None = None
    override: Whole | None = None
    price: str | None = None
    period: Instant | None = None
    quantity: Quantity
    cost: Credits
    overage: Credits
    slices: tuple[VoidedSlice, ...] = ()
    entities: str | None = None


class VoidUsage(Command):
    """The usage `event` of `source` never happened.

    `time` (of the event) and `lines` are filled in from the ledger where the command enters, so
    that the fold stays pure.
    """

    kind: Literal["void_usage"] = "void_usage"
    source: Name
    event: Name
    time: Instant | None = None
    lines: tuple[VoidedLine, ...] = ()


class Replay(Command):
    """What waits as unrated of the usage `event` of `source` is priced (None: every product)."""

    kind: Literal["replay"] = "replay"
    source: Name
    event: Name
    product: Id | None = None


class Backfill(Command):
    """Usage older than the window: `event` is one CloudEvent, as a text of JSON."""

    kind: Literal["backfill"] = "backfill"
    event: Annotated[str, Field(min_length=2, max_length=MAX_DOCUMENT_BYTES)]


def _as_written(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """`value` with its numbers as they were written, for `msgspec.json.encode`."""
    if isinstance(value, NumberText) or (isinstance(value, int) and not isinstance(value, bool)):
        return msgspec.Raw(str(value).encode())
    if isinstance(value, dict):
        return {name: _as_written(inner) for name, inner in value.items()}
    return [_as_written(inner) for inner in value] if isinstance(value, list) else value


def _inexact(value: object, path: str) -> Iterator[str]:
    """Where `value` holds what is no exact JSON value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _inexact(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _inexact(inner, f"{path}[{index}]")
    elif not isinstance(value, str | int | None):
        yield path


class AmendContract(Command):
    """From `effective_at` on, the contract is what `changes` (a JSON merge patch) makes of it."""

    kind: Literal["amend_contract"] = "amend_contract"
    contract: Id
    effective_at: Instant
    changes: Annotated[dict[str, Any], Field(min_length=1), PlainSerializer(_as_written)]
    reason: Name | None = None
    by: Name | None = None

    def contradictions(self) -> Iterable[Fault]:
        """A change of an unknown field, an inexact number."""
        for name in self.changes:
            if name not in Contract.model_fields or name == "kind":
                yield f"changes.{name}", "unknown field"
        for path in _inexact(self.changes, "changes"):
            yield path, "expected a text, an exact number, true, false or null"


class TerminateContract(Command):
    """The contract ends at `at`; what becomes of its credits is the policy."""

    kind: Literal["terminate_contract"] = "terminate_contract"
    contract: Id
    at: Instant
    policy: Literal["expire", "refund", "to_account"]


class SetSeats(Command):
    """The contract has `seats` seats from now on."""

    kind: Literal["set_seats"] = "set_seats"
    contract: Id
    seats: Whole


class SettleOverage(Command):
    """`amount` of overage was paid for, oldest first; `contract` None: the wallet's."""

    kind: Literal["settle_overage"] = "settle_overage"
    contract: Id | None = None
    amount: PositiveCredits
    reference: Name | None = None


class TopUpFailed(Command):
    """The requested top-up was not paid."""

    kind: Literal["top_up_failed"] = "top_up_failed"
    request: Name
    reason: Name | None = None


class PlaceHold(Command):
    """`amount` credits are reserved for `expires_in`, as a line of `product` would draw them now.

    The hold has the command's id. `contract` None: by the rules of coverage.
    """

    kind: Literal["place_hold"] = "place_hold"
    product: Id
    amount: PositiveCredits
    contract: Id | None = None
    expires_in: HoldTime = "PT15M"


class CaptureHold(Command):
    """`amount` of what `hold` holds is consumed (None: all), the rest is free again."""

    kind: Literal["capture_hold"] = "capture_hold"
    hold: Id
    amount: PositiveCredits | None = None


class ReleaseHold(Command):
    """What `hold` holds is free again."""

    kind: Literal["release_hold"] = "release_hold"
    hold: Id


COMMANDS: Final[tuple[type[Command], ...]] = (
    VoidGrant,
    RefundGrant,
    AdjustGrant,
    FundGrant,
    Purchase,
    VoidUsage,
    Replay,
    Backfill,
    AmendContract,
    TerminateContract,
    SetSeats,
    SettleOverage,
    TopUpFailed,
    PlaceHold,
    CaptureHold,
    ReleaseHold,
)
