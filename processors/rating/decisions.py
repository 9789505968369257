"""What each event is rated by: each decision is looked up once and shared by its events.

Between two documents the catalog and the accounts stand still, so all that decides an event's lines
is what covers its account at its time, and its dimensions (`known`). An event then costs a few
dictionary look-ups. Nothing is priced here.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Final, TypeVar

from processors.rating.fields import ONE, Fields, read_fields
from processors.rating.known import UNKNOWN, Covered, Known, Meter
from processors.rating.lines import NOBODY, Decision, Lines, Usage
from projections.rates.extract import text_of
from schemas.frames import RatedKind
from schemas.reasons import Reason

T = TypeVar("T")
_Units = Sequence[int | str | None]
_tariffs: Final = attrgetter("tariffs")
_parties: Final = attrgetter("parties")


def decide(start: int, stop: int, usage: Usage, known: Known, lines: Lines) -> None:
    """Append the rows of the usage from `start` to `stop`, those of one type after another's."""
    types = usage.types.slice(start, stop - start)
    distinct = types.unique(maintain_order=True)
    # Null is of a tick or a document, which usage need not wait for.
    for event_type in distinct.drop_nulls():
        places: Sequence[int] = range(start, stop)
        if len(distinct) > 1:
            places = [start + at for at in (types == event_type).fill_null(value=False).arg_true()]
        for meter, metered in _by_meter(known, event_type, places, usage):
            _decide_metered(meter, metered, usage, known, lines)


def _by_meter(
    known: Known, event_type: str, events: Sequence[int], usage: Usage
) -> Iterable[tuple[Meter, Sequence[int]]]:
    """The events by the meter that their data leads to; most often there is one."""
    metering = known.metering(event_type)
    if not metering.filters.dimensions:
        return [(metering.meter(()), events)]
    found = read_fields(metering.filters, _taken(usage.data, events)).dimensions.values()
    meters: dict[tuple[str | bool | None, ...], Meter] = {}
    parted: dict[int, tuple[Meter, list[int]]] = {}
    for event, values in zip(events, zip(*found, strict=True), strict=True):
        meter = meters.get(values)
        if meter is None:
            meter = meters[values] = metering.meter(values)
        parted.setdefault(id(meter), (meter, []))[1].append(event)
    return parted.values()


def _decide_metered(
    meter: Meter, events: Sequence[int], usage: Usage, known: Known, lines: Lines
) -> None:
    held = meter.covered(
        _taken(usage.accounts, events),
        _taken(usage.times, events),
        None if usage.contracts is None else _taken(usage.contracts, events),
    )
    if UNKNOWN in held:
        pairs = list(zip(events, held, strict=True))
        strangers = [event for event, one in pairs if one is UNKNOWN]
        lines.add_all(strangers, known.unrated(None, Reason.UNKNOWN_ACCOUNT))
        events = [event for event, one in pairs if one is not UNKNOWN]
        held = [one for one in held if one is not UNKNOWN]
    if not events or not meter.products:
        lines.add_all(events, known.unrated(None, Reason.NO_PRODUCT))
        return
    fields = read_fields(meter.layout, _taken(usage.data, events))
    units = [_units(meter, at, fields, len(events)) for at in range(len(meter.products))]
    dimensions = [fields.dimensions[name] for name in meter.dimensions]
    if negative := fields.negative:
        refused = Decision(RatedKind.REFUSED, reason=str(Reason.NEGATIVE_QUANTITY))
        lines.add_all([events[at] for at in sorted(negative)], known.decisions.number(refused))
        kept = [at for at in range(len(events)) if at not in negative]
        events, held = _at(events, kept), _at(held, kept)
        units = [_at(column, kept) for column in units]
        dimensions = [_at(column, kept) for column in dimensions]
    if events:
        _append(meter, events, held, dimensions, units, known, lines)


def _append(
    meter: Meter,
    events: Sequence[int],
    held: Sequence[Covered],
    dimensions: Sequence[Sequence[str | bool | None]],
    units: Sequence[_Units],
    known: Known,
    lines: Lines,
) -> None:
    """Rows of `events`, a line for each product, its quantity from its column."""
    count, first = len(meter.products), len(lines.codes)
    if held.count(held[0]) == len(held):
        lines.parties.extend(held[0].parties * len(held))
    else:
        lines.parties.extend(chain.from_iterable(map(_parties, held)))
    keys = zip(map(_tariffs, held), *dimensions, strict=True)
    lines.codes.extend(chain.from_iterable(map(meter.__getitem__, keys)))
    lines.events.extend(_woven([events] * count))
    lines.ordinals.extend(list(range(count)) * len(events))
    lines.units.extend(_woven(units))
    if any(None in column for column in units):
        for at in range(first, len(lines.codes)):
            if lines.units[at] is None:
                product = meter.products[(at - first) % count].id
                lines.codes[at] = known.unrated(product, Reason.BAD_VALUE)
                lines.parties[at] = NOBODY
    if any(product.meter.aggregation == "unique" for product in meter.products):
        decisions = known.decisions.values
        for at in range(first, len(lines.codes)):
            if decisions[lines.codes[at]].kind != RatedKind.LINE:
                lines.units[at] = None  # the text of a value that will not be counted


def _woven(columns: Sequence[Sequence[T]]) -> list[T]:
    """The first of each column, then the second of each, and so on."""
    if len(columns) == 1:
        return list(columns[0])
    woven: list[T] = [*columns[0]] * len(columns)
    for at, column in enumerate(columns):
        woven[at :: len(columns)] = column
    return woven


def _units(meter: Meter, at: int, fields: Fields, count: int) -> _Units:
    """What a product meters of each event, None for a bad value."""
    path = meter.products[at].meter.value
    if path is None:
        return [ONE] * count
    if meter.products[at].meter.aggregation == "unique":
        return list(map(text_of, fields.dimensions[path]))
    return fields.units[path]


def _taken(column: Sequence[T], places: Sequence[int]) -> Sequence[T]:
    if isinstance(places, range):
        return column[places.start : places.stop]
    return _at(column, places)


def _at(column: Sequence[T], places: Sequence[int]) -> list[T]:
    return [column[at] for at in places]
