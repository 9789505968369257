"""Which values of an event are metered, as of one place in the merged order. Pure.

A negative metered value refuses the event (credits.md section 3). Found here, before the key is
claimed, its corrected resend is accepted (section 9). Rating looks again: it trusts no stage.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from processors.admission.envelope import Usage
from processors.rating.catalog import Catalog
from processors.rating.extract import at_path, load_data, quantity_of
from schemas.documents import Product, parse_document
from schemas.reasons import Reason, Refusal

_SIGNED: Final = re.compile(rb':\s*"?(?:-|\\u002[dD])')
"""A member whose value begins with a minus, as a number or a decimal string: worth a look."""


class Metered:
    """The value paths of `sum` meters by event type, after every catalog offset below `through`."""

    def __init__(self) -> None:
        self.through = 0
        self._catalog = Catalog()
        self._paths: dict[str, list[str]] = {}

    def apply(self, offset: int, data: bytes | None) -> None:
        """Take the catalog record at `offset`: a valid document's bytes, None when refused."""
        self.through = offset + 1
        document = None if data is None else parse_document(data)
        if isinstance(document, Product) and self._catalog.apply(document, 0) is None:
            self._paths = value_paths(self._catalog.documents.values())

    def refuse(self, event: Usage) -> Refusal | None:
        """The refusal of an event with a negative metered value, else None."""
        data = event.data
        if data is None or not (b"-" in data or b"\\u" in data) or not _SIGNED.search(data):
            return None
        paths = self._paths.get(event.type)
        return None if paths is None else negative(data, paths)


def value_paths(documents: Iterable[object]) -> dict[str, list[str]]:
    """The value paths of the `sum` meters among `documents`, by event type."""
    paths: dict[str, list[str]] = {}
    for document in documents:
        if isinstance(document, Product) and document.meter.aggregation == "sum":
            assert document.meter.value is not None, document
            paths.setdefault(document.meter.event_type, []).append(document.meter.value)
    return paths


def negative(data: bytes | None, paths: Sequence[str]) -> Refusal | None:
    """The refusal for the first of `paths` whose value in `data` is below zero."""
    loaded = load_data(data)
    for path in paths:
        value = at_path(loaded, path)
        quantity = quantity_of(value)
        if quantity is not None and quantity < 0:
            detail = f"expected a quantity of at least 0, got {value}"
            return Refusal(Reason.NEGATIVE_QUANTITY, detail, f"data.{path}")
    return None
