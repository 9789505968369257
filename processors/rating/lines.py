"""Rated rows on their way: what each is, of which event, and its quantity; not yet its cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from operator import le

from projections.pricing import Price
from schemas.frames import RatedKind


@dataclass(frozen=True, slots=True)
class Decision:
    """What a rated row is, but for its amounts."""

    kind: RatedKind
    product: str | None = None
    reason: str | None = None
    rate_card: str | None = None
    version: int | None = None
    match: str | None = None
    price: Price | None = None


@dataclass(slots=True)
class Lines:
    """Rated rows to be: which event of the batch, which of its rows, its decision and quantity."""

    events: list[int] = field(default_factory=list)
    ordinals: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    units: list[int | None] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    _code: dict[Decision, int] = field(default_factory=dict)

    def code(self, decision: Decision) -> int:
        """The number of a decision, the same for equal ones."""
        known = self._code.get(decision)
        if known is None:
            known = self._code[decision] = len(self.decisions)
            self.decisions.append(decision)
        return known

    def add_all(self, events: Sequence[int], decision: Decision) -> None:
        """A row without amounts for each of `events`, all that it gives."""
        self.events.extend(events)
        self.ordinals.extend(repeat(0, len(events)))
        self.codes.extend(repeat(self.code(decision), len(events)))
        self.units.extend(repeat(None, len(events)))

    def in_order(self) -> "Lines":
        """The same rows in log order: by event; the rows of one event keep theirs."""
        events = self.events
        if all(map(le, events, islice(events, 1, None))):
            return self
        order = sorted(range(len(events)), key=events.__getitem__)
        return Lines(
            [events[at] for at in order],
            [self.ordinals[at] for at in order],
            [self.codes[at] for at in order],
            [self.units[at] for at in order],
            self.decisions,
            self._code,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Columns of the batch's journal rows."""

    types: Sequence[str]
    accounts: Sequence[str]
    times: Sequence[int]
    data: Sequence[bytes | None]
