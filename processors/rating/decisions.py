"""What each event is rated by: each decision of a batch is looked up once and shared by its events.

Between two documents the catalog and the accounts stand still, so all that decides an event's lines
is (rate card, version in effect, dimensions). `Decider` asks the catalog once for each distinct
combination; an event then costs a dictionary look-up. The result is four plain lists, one entry
for each rated row: nothing is priced here.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Final, TypeVar

from processors.rating.catalog import Catalog, Choice
from processors.rating.extract import dimension_of
from processors.rating.fields import ONE, Fields, Layout, layout_of, read_fields
from processors.rating.lines import Decision, Lines, Usage
from schemas.documents import Product
from schemas.frames import RatedKind
from schemas.reasons import Reason

T = TypeVar("T")
_Key = tuple[str | bool | int | None, ...]


class UnknownAccount:
    """In the place of a rate card: there is no such account."""


UNKNOWN: Final = UnknownAccount()


class Decider:
    """Decides usage under one state of the catalog."""

    def __init__(self, catalog: Catalog, lines: Lines) -> None:
        self._catalog, self._lines = catalog, lines
        self._meters: dict[str, _Meter] = {}
        self._edges = sorted(
            {edge for card in catalog.cards() for edge in catalog.effective_times(card)}
        )

    def decide(
        self,
        start: int,
        stop: int,
        usage: Usage,
        cards: Mapping[str, str | UnknownAccount | None],
    ) -> None:
        """Append the rows of the usage from `start` to `stop`; `cards` is by account."""
        types = usage.types[start:stop]
        distinct = dict.fromkeys(types)
        for event_type in distinct:
            places: Sequence[int] = range(start, stop)
            if len(distinct) > 1:
                places = [start + at for at, found in enumerate(types) if found == event_type]
            held = list(map(cards.__getitem__, _taken(usage.accounts, places)))
            if UNKNOWN in held:
                unknown = [e for e, card in zip(places, held, strict=True) if card is UNKNOWN]
                self._lines.add_all(unknown, _unrated(None, Reason.UNKNOWN_ACCOUNT))
                places = [e for e, card in zip(places, held, strict=True) if card is not UNKNOWN]
                held = [card for card in held if card is not UNKNOWN]
            if places:
                self._decide_type(event_type, places, usage, held)

    def _decide_type(
        self,
        event_type: str,
        events: Sequence[int],
        usage: Usage,
        cards: list[str | UnknownAccount | None],
    ) -> None:
        meter = self._meter(event_type)
        if not meter.products:
            self._lines.add_all(events, _unrated(None, Reason.NO_PRODUCT))
            return
        fields = read_fields(meter.layout, _taken(usage.data, events))
        slots = self._slots(_taken(usage.times, events))
        keys: Iterable[_Key] = zip(cards, slots, *fields.dimensions.values(), strict=False)
        codes = list(map(meter.__getitem__, keys))
        ones = [ONE] * len(events)
        units = [
            ones if product.meter.value is None else fields.units[product.meter.value]
            for product in meter.products
        ]
        if negative := _negative(fields):
            refused = Decision(RatedKind.REFUSED, reason=str(Reason.NEGATIVE_QUANTITY))
            self._lines.add_all([events[at] for at in sorted(negative)], refused)
            kept = [at for at in range(len(events)) if at not in negative]
            events, codes = [events[at] for at in kept], [codes[at] for at in kept]
            units = [[column[at] for at in kept] for column in units]
        self._append(meter, events, codes, units)

    def _append(
        self,
        meter: "_Meter",
        events: Sequence[int],
        codes: list[tuple[int, ...]],
        units: list[Sequence[int | None]],
    ) -> None:
        """Rows of `events`, a line for each product: its code, and its quantity from its column."""
        lines, count = self._lines, len(meter.products)
        lines.events.extend(chain.from_iterable(zip(*[events] * count, strict=True)))
        lines.ordinals.extend(list(range(count)) * len(events))
        first = len(lines.codes)
        lines.codes.extend(chain.from_iterable(codes))
        lines.units.extend(chain.from_iterable(zip(*units, strict=True)))
        if any(None in column for column in units):
            for at in range(first, len(lines.codes)):
                if lines.units[at] is None:
                    product = meter.products[(at - first) % count].id
                    lines.codes[at] = lines.code(_unrated(product, Reason.BAD_VALUE))

    def _meter(self, event_type: str) -> "_Meter":
        meter = self._meters.get(event_type)
        if meter is None:
            products = self._catalog.products(event_type)
            meter = self._meters[event_type] = _Meter(
                self._catalog, products, self._edges, self._lines
            )
        return meter

    def _slots(self, times: Sequence[int]) -> Iterable[int]:
        """In which stretch between the catalog's effective times each time lies."""
        first, last = bisect_right(self._edges, min(times)), bisect_right(self._edges, max(times))
        if first == last:
            return repeat(first, len(times))
        return [bisect_right(self._edges, time) for time in times]


class _Meter(dict[_Key, tuple[int, ...]]):
    """The products of one event type; for each key seen, the decision of each product's line."""

    def __init__(
        self, catalog: Catalog, products: Sequence[Product], edges: list[int], lines: Lines
    ) -> None:
        super().__init__()
        self.products = products
        self.layout: Layout = layout_of(products)
        self._catalog, self._edges, self._lines = catalog, edges, lines

    def __missing__(self, key: _Key) -> tuple[int, ...]:
        card, slot, *found = key
        assert card is None or isinstance(card, str)
        assert isinstance(slot, int)
        time = self._edges[slot - 1] if slot else -1
        names = self.layout.dimensions
        dimensions = {name: dimension_of(value) for name, value in zip(names, found, strict=True)}
        decisions = (self._decision(card, product, time, dimensions) for product in self.products)
        codes = self[key] = tuple(self._lines.code(decision) for decision in decisions)
        return codes

    def _decision(
        self, card: str | None, product: Product, time: int, dimensions: Mapping[str, str | None]
    ) -> Decision:
        own = {name: dimensions[name] for name in product.meter.dimensions}
        choice = self._catalog.choose(card, product.id, time, own)
        if not isinstance(choice, Choice):
            return _unrated(product.id, choice)
        rate = choice.rate
        return Decision(
            RatedKind.LINE,
            product.id,
            None,
            choice.rate_card,
            choice.version,
            rate.label,
            rate.price,
        )


def _taken(column: Sequence[T], places: Sequence[int]) -> Sequence[T]:
    if isinstance(places, range):
        return column[places.start : places.stop]
    return [column[at] for at in places]


def _unrated(product: str | None, reason: Reason) -> Decision:
    return Decision(RatedKind.UNRATED, product, str(reason))


def _negative(fields: Fields) -> set[int]:
    """The places of events with a negative value at any path."""
    found: set[int] = set()
    for column in fields.units.values():
        if None in column or min(column) < 0:  # type: ignore[type-var,operator]
            found |= {at for at, value in enumerate(column) if value is not None and value < 0}
    return found
