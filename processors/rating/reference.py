"""The plain reference of rating: one journal row at a time, in exact integers, no columns.

`processors.rating.columnar` must give the same rated rows and the same stored rows for every cut
of the journal (I5). This page and `events`, `documents`, `corrections` are the definition; that one
is the speed.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from processors.rating.backfilled import came_by_backfill
from processors.rating.documents import (
    Taken,
    apply_to_accounts,
    apply_to_catalog,
    read_document,
)
from processors.rating.events import EventRating, of_event, refused
from processors.rating.rated import Event, Rated
from projections.rates.catalog import Catalog
from projections.rates.held import load_catalog
from projections.rates.rows import RatingRow
from projections.rows import Rows
from schemas.documents import Document
from schemas.frames import JournalKind, RatedKind
from schemas.reasons import Reason, Refusal


class ReferenceRating:
    """Rates journal rows in order; keeps journal time and the catalog between them."""

    def __init__(
        self, rows: Rows[RatingRow], clock: int = 0, catalog: Catalog | None = None
    ) -> None:
        self._rows = rows
        self._catalog = load_catalog(rows) if catalog is None else catalog
        self._events = EventRating(self._catalog, rows)
        self.clock = clock

    def rate(self, journal: Mapping[str, Any]) -> list[Rated]:
        """The rated rows of one journal row (JOURNAL_SCHEMA with `journal_offset` and `row`)."""
        self.clock = max(self.clock, journal["received_at"])
        bare = Rated(journal["journal_offset"], journal["row"], 0, RatedKind.TICK, self.clock)
        kind = journal["kind"]
        if kind == JournalKind.TICK:
            return [bare]
        if kind == JournalKind.USAGE:
            return self._usage(event_of(journal), bare)
        bare = replace(bare, account=journal["account"])
        document = read_document(journal["data"])
        taken = document if isinstance(document, Refusal) else self._take(kind, document, bare)
        if isinstance(taken, list):
            return taken
        if isinstance(taken, Refusal):
            return [refused(bare, Reason(taken.reason), journal["data"])]
        if taken is Taken.UNCHANGED:
            return []
        return [replace(bare, kind=RatedKind.DOCUMENT, data=journal["data"])]

    def _usage(self, event: Event, bare: Rated) -> list[Rated]:
        before = came_by_backfill(event, self._rows)
        if before is not None:
            return [refused(of_event(bare, event), before, event.data)]
        return self._events.rate(event, bare)

    def _take(self, kind: int, document: Document, bare: Rated) -> Refusal | Taken | list[Rated]:
        if kind == JournalKind.CATALOG:
            return apply_to_catalog(document, self._catalog, self.clock, self._rows)
        return apply_to_accounts(document, self._catalog, bare, self._rows)


def event_of(journal: Mapping[str, Any]) -> Event:
    """The event of a usage row of the journal."""
    return Event(
        journal["account"],
        journal["source"],
        journal["id"],
        journal["type"],
        journal["time"],
        journal["contract"],
        journal["data"],
    )
