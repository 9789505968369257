"""What is on its way to a subscription, and what became of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from projections.delivery.subscriptions import head_of
from schemas.times import format_instant, parse_instant

NOBODY: Final = ""
"""The subscription of a dead letter that is no alert."""


class Delivery(msgspec.Struct, frozen=True):
    """One alert on its way to one subscription. Instants are microseconds."""

    alert: str
    account: str
    body: bytes
    logged: int
    """When the log took the alert."""
    made: int = 0
    """Attempts that were made."""
    taken: int = 0
    """When the subscription was looked up that it was taken for; 0 where an old release did."""

    def encode(self) -> bytes:
        """As Redis keeps it."""
        return msgspec.msgpack.encode(self)


class Stopped(msgspec.Struct, frozen=True):
    """Since when nothing is sent to a subscription, and why."""

    at: int
    why: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One delivery that was given up at an instant (`schemas.events.DeadLetterHeaders`)."""

    subscription: str
    delivery: Delivery
    cause: str
    at: int
    answer: str = ""

    def headers(self) -> tuple[tuple[str, bytes], ...]:
        """What the record says beside the alert."""
        told = {
            "drawdown-subscription": self.subscription,
            "drawdown-cause": self.cause,
            "drawdown-answer": self.answer,
            "drawdown-attempts": str(self.delivery.made),
            "drawdown-logged": format_instant(self.delivery.logged),
            "drawdown-at": format_instant(self.at),
        }
        return tuple((name, value.encode()) for name, value in told.items())


def read_letter(
    body: bytes, key: bytes | None, headers: Mapping[str, bytes | None]
) -> DeadLetter | None:
    """The inverse; None for what is nobody's."""
    told = {name: (value or b"").decode() for name, value in headers.items()}
    head = head_of(body)
    if head is None or told["drawdown-subscription"] == NOBODY:
        return None
    logged, made = parse_instant(told["drawdown-logged"]), int(told["drawdown-attempts"])
    return DeadLetter(
        told["drawdown-subscription"],
        Delivery(head.id, (key or b"").decode(), body, logged, made),
        told["drawdown-cause"],
        parse_instant(told["drawdown-at"]),
        told["drawdown-answer"],
    )
