"""The rows of holds: each hold is the memory of its own commands (credits.md section 10).

A customer may place a hold for each request, so no row of one stays: it is removed some time after
the hold ended, and counts as absent from that instant on, whether or not it was removed yet.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from schemas.times import DAY

KEPT: Final = DAY
"""How long a hold is remembered after it ended."""
MOST_OPEN: Final = 10_000
"""Open holds of an account."""


@dataclass(slots=True)
class HoldRow:
    """A hold, and the memory of its commands.

    `digest` is of the content that placed it; `slices` are what it holds, or held, of each grant,
    in the order in which a capture drains them. `captured` was consumed of it; `ended_by` is the id
    and the digest of the command that ended it, None where its time did.
    """

    digest: str
    product: str
    contract: str | None
    placed_at: int
    expires_at: int
    slices: list[tuple[str, int]]
    state: Literal["open", "captured", "released", "expired"] = "open"
    captured: int = 0
    ended_at: int | None = None
    ended_by: tuple[str, str] | None = None

    @property
    def amount(self) -> int:
        """What it holds, or held."""
        return sum(amount for _, amount in self.slices)

    @property
    def forgotten_at(self) -> int | None:
        """From when on it counts as never placed; None while it is open."""
        return None if self.ended_at is None else self.ended_at + KEPT


@dataclass(slots=True)
class OpenHoldsRow:
    """An account's open holds: when each ends, and its id, sorted."""

    ends: list[tuple[int, str]] = field(default_factory=list)

    @property
    def first(self) -> int | None:
        """When the first of them ends."""
        return self.ends[0][0] if self.ends else None

    def add(self, end: int, hold: str) -> None:
        """One more is open."""
        insort(self.ends, (end, hold))

    def drop(self, end: int, hold: str) -> None:
        """One of them has ended."""
        at = bisect_left(self.ends, (end, hold))
        assert self.ends[at] == (end, hold), hold
        del self.ends[at]


def hold_of(parts: list[Any]) -> HoldRow:
    """A hold of the values of its fields, out of JSON."""
    hold = HoldRow(*parts)
    hold.slices = [(name, amount) for name, amount in hold.slices]
    hold.ended_by = None if hold.ended_by is None else (hold.ended_by[0], hold.ended_by[1])
    return hold


def open_holds_of(parts: list[Any]) -> OpenHoldsRow:
    """An account's open holds, out of JSON."""
    return OpenHoldsRow([(at, name) for at, name in parts[0]])
