"""Which values of an event are metered, as of one place in the merged order. Pure.

A negative metered value refuses the event (credits.md section 3). Found here, before the key is
claimed, its corrected resend is accepted (section 9). Rating looks again: it trusts no stage.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from projections.rates.catalog import Catalog
from projections.rates.extract import at_path, dimension_of, load_data, quantity_of
from schemas.documents import Meter, Product, parse_document
from schemas.envelope import Usage
from schemas.reasons import Reason, Refusal

SIGNED: Final = re.compile(rb':\s*"?(?:-|\\u002[dD])')
"""A member whose value begins with a minus, as a number or a decimal string: worth a look."""
_SIGN_COUNTS: Final = ("sum", "max")
"""Aggregations of quantities; `unique` takes any scalar, `count` no value."""


class Metered:
    """The meters of quantities by event type, after every catalog offset below `through`."""

    def __init__(self) -> None:
        self.through = 0
        self._catalog = Catalog()
        self._meters: dict[str, list[Meter]] = {}

    def apply(self, offset: int, data: bytes | None) -> None:
        """Take the catalog record at `offset`: a valid document's bytes, None when refused."""
        self.through = offset + 1
        document = None if data is None else parse_document(data)
        if isinstance(document, Product) and self._catalog.apply(document, 0) is None:
            self._meters = meters_of(self._catalog.documents.values())

    def meters(self, event_types: Iterable[str]) -> bool:
        """Whether any of `event_types` has a quantity that could be negative."""
        return not self._meters.keys().isdisjoint(event_types)

    def refuse(self, event: Usage) -> Refusal | None:
        """The refusal of an event with a negative metered value, else None."""
        data = event.data
        if data is None or not (b"-" in data or b"\\u" in data) or not SIGNED.search(data):
            return None
        meters = self._meters.get(event.type)
        return None if meters is None else negative(data, meters)


def meters_of(documents: Iterable[object]) -> dict[str, list[Meter]]:
    """The meters of quantities among `documents`, by event type."""
    meters: dict[str, list[Meter]] = {}
    for document in documents:
        if isinstance(document, Product) and document.meter.aggregation in _SIGN_COUNTS:
            meters.setdefault(document.meter.event_type, []).append(document.meter)
    return meters


def negative(data: bytes | None, meters: Sequence[Meter]) -> Refusal | None:
    """The refusal for the first of `meters` that takes the event and finds a value below zero."""
    loaded = load_data(data)
    for meter in meters:
        assert meter.value is not None, meter
        value = at_path(loaded, meter.value)
        quantity = quantity_of(value)
        if quantity is not None and quantity < 0 and _takes(meter, loaded):
            detail = f"expected a quantity of at least 0, got {value}"
            return Refusal(Reason.NEGATIVE_QUANTITY, detail, f"data.{meter.value}")
    return None


def _takes(meter: Meter, loaded: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether the event passes the meter's filter: what it names must equal, as in a match."""
    return all(dimension_of(at_path(loaded, path)) == text for path, text in meter.filter.items())
