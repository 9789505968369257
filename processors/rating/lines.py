"""Rated rows on their way: what each is, of which event, and its quantity; not yet its cost.

What rows have in common is kept once, in numbered tables: a `Decision` (what a row is and what
prices it) and a `Party` (who is charged: contract, revision, billing period).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from operator import le
from typing import Final, Generic, TypeVar

import polars as pl

from projections.pricing import Price
from projections.rates.choice import EntityLimit
from schemas.frames import RatedKind

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a rated row is, but for its amounts and its party.

    `aggregation` of a line whose key's quantity is kept, else None: then it is priced by itself.
    """

    kind: RatedKind
    product: str | None = None
    reason: str | None = None
    override: int | None = None
    rate_card: str | None = None
    version: int | None = None
    match: str | None = None
    price: Price | None = None
    price_text: str | None = None
    aggregation: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """Under what a line is charged; `limits` are those by a data path that count it."""

    contract: str | None = None
    named: bool | None = None
    revision: int | None = None
    period: int | None = None
    limits: tuple[EntityLimit, ...] = ()


NOBODY: Final = 0
"""The number of the party of a row that is no line."""


class Numbered(Generic[T]):
    """Distinct values by number, in order of first mention."""

    def __init__(self, *values: T) -> None:
        self.values: list[T] = list(values)
        self._numbers = {value: number for number, value in enumerate(values)}

    def number(self, value: T) -> int:
        """The number of a value, the same for equal ones."""
        known = self._numbers.get(value)
        if known is None:
            known = self._numbers[value] = len(self.values)
            self.values.append(value)
        return known


@dataclass(slots=True)
class Lines:
    """Rated rows to be: the event of the batch, its row, its decision and party, its quantity.

    `units` are of a quantity; of a `max` the value, of a `unique` the value's text, until priced.
    """

    events: list[int] = field(default_factory=list)
    ordinals: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    parties: list[int] = field(default_factory=list)
    units: list[int | str | None] = field(default_factory=list)

    def add_all(self, events: Sequence[int], code: int) -> None:
        """A row without amounts for each of `events`, all that it gives."""
        self.events.extend(events)
        self.ordinals.extend(repeat(0, len(events)))
        self.codes.extend(repeat(code, len(events)))
        self.parties.extend(repeat(NOBODY, len(events)))
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
            [self.parties[at] for at in order],
            [self.units[at] for at in order],
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Columns of the batch's journal rows; of what is no usage there is no type.

    `contracts` None: no event names one.
    """

    types: pl.Series
    accounts: Sequence[str]
    times: Sequence[int]
    contracts: Sequence[str | None] | None
    data: Sequence[bytes | None]
