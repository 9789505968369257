"""The plain reference of rating: one journal row at a time, in exact integers, no columns.

`processors.rating.columnar` must give the same rated rows and the same stored rows for every cut
of the journal (I5). This page is the definition; that one is the speed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from processors.rating.catalog import Choice
from processors.rating.documents import apply_to_accounts, apply_to_catalog, load_catalog
from processors.rating.extract import at_path, dimension_of, load_data, quantity_of
from processors.rating.rows import (
    AccountRow,
    CumulativeRow,
    RatingRow,
    account_key,
    cumulative_key,
)
from projections.pricing import line_cost
from projections.rows import Rows
from schemas.documents import Product
from schemas.frames import JournalKind, RatedKind
from schemas.numbers import QUANTITY_DECIMALS
from schemas.reasons import Reason
from schemas.times import month_period

ONE: int = 10**QUANTITY_DECIMALS


@dataclass(frozen=True, slots=True)
class Rated:
    """One rated row; the fields are the columns of RATED_SCHEMA, amounts in units."""

    journal_offset: int
    row: int
    ordinal: int
    kind: int
    at: int
    account: str | None = None
    source: str | None = None
    id: str | None = None
    time: int | None = None
    product: str | None = None
    rate_card: str | None = None
    version: int | None = None
    match: str | None = None
    quantity: int | None = None
    before: int | None = None
    unit_price: int | None = None
    cost: int | None = None
    reason: str | None = None
    data: bytes | None = None


class ReferenceRating:
    """Rates journal rows in order; keeps journal time and the catalog between them."""

    def __init__(self, rows: Rows[RatingRow], clock: int = 0) -> None:
        self._rows = rows
        self._catalog = load_catalog(rows)
        self.clock = clock

    def rate(self, journal: Mapping[str, Any]) -> list[Rated]:
        """The rated rows of one journal row (JOURNAL_SCHEMA with `journal_offset` and `row`)."""
        self.clock = max(self.clock, journal["received_at"])
        bare = Rated(journal["journal_offset"], journal["row"], 0, int(RatedKind.TICK), self.clock)
        kind = journal["kind"]
        if kind == JournalKind.TICK:
            return [bare]
        if kind == JournalKind.CATALOG:
            refusal = apply_to_catalog(self._catalog, journal["data"], self.clock, self._rows)
            accepted = []
        elif kind == JournalKind.CREDITS:
            refusal = apply_to_accounts(journal["data"], self._rows)
            bare = replace(bare, account=journal["account"], data=journal["data"])
            accepted = [replace(bare, kind=int(RatedKind.DOCUMENT))]
        else:
            return self._usage(journal, bare)
        if refusal is None:
            return accepted
        refused = int(RatedKind.REFUSED)
        return [replace(bare, kind=refused, reason=str(refusal.reason), data=journal["data"])]

    def _usage(self, journal: Mapping[str, Any], bare: Rated) -> list[Rated]:
        event = replace(
            bare,
            account=journal["account"],
            source=journal["source"],
            id=journal["id"],
            time=journal["time"],
        )
        unrated = replace(event, kind=int(RatedKind.UNRATED), data=journal["data"])
        account = self._rows.get(account_key(journal["account"]))
        if not isinstance(account, AccountRow):
            return [replace(unrated, reason=str(Reason.UNKNOWN_ACCOUNT))]
        products = self._catalog.products(journal["type"])
        if not products:
            return [replace(unrated, reason=str(Reason.NO_PRODUCT))]
        loaded = load_data(journal["data"])
        quantities = [_quantity(product, loaded) for product in products]
        if any(quantity is not None and quantity < 0 for quantity in quantities):
            refused = replace(unrated, kind=int(RatedKind.REFUSED))
            return [replace(refused, reason=str(Reason.NEGATIVE_QUANTITY))]
        return [
            self._line(
                replace(unrated, ordinal=ordinal, product=product.id),
                product,
                quantity,
                loaded,
                account,
            )
            for ordinal, (product, quantity) in enumerate(zip(products, quantities, strict=True))
        ]

    def _line(
        self,
        unrated: Rated,
        product: Product,
        quantity: int | None,
        loaded: Any,  # noqa: ANN401 - any JSON value
        account: AccountRow,
    ) -> Rated:
        """The row of one product's line, or `unrated` with the first reason that applies."""
        assert unrated.time is not None
        assert unrated.account is not None
        if quantity is None:
            return replace(unrated, reason=str(Reason.BAD_VALUE))
        dimensions = {
            name: dimension_of(at_path(loaded, name)) for name in product.meter.dimensions
        }
        choice = self._catalog.choose(account.rate_card, product.id, unrated.time, dimensions)
        if isinstance(choice, Reason):
            return replace(unrated, reason=str(choice))
        price = choice.rate.price
        key, before = "", 0
        if price.cumulative:
            start, _ = month_period(unrated.time, account.time_zone)
            key = cumulative_key(unrated.account, product.id, choice.rate.label, start)
            row = self._rows.get(key)
            before = int(row.total) if isinstance(row, CumulativeRow) else 0
        cost = line_cost(price, quantity, before)
        if cost is None:
            return replace(unrated, reason=str(Reason.COST_OUT_OF_RANGE))
        if price.cumulative:
            self._rows.put(key, CumulativeRow(str(before + quantity)))
        return _priced(unrated, choice, quantity, before, cost)


def _quantity(product: Product, loaded: Any) -> int | None:  # noqa: ANN401
    if product.meter.aggregation == "count":
        return ONE
    assert product.meter.value is not None
    return quantity_of(at_path(loaded, product.meter.value))


def _priced(unrated: Rated, choice: Choice, quantity: int, before: int, cost: int) -> Rated:
    price = choice.rate.price
    return replace(
        unrated,
        kind=int(RatedKind.LINE),
        data=None,
        rate_card=choice.rate_card,
        version=choice.version,
        match=choice.rate.label,
        quantity=quantity,
        before=before if price.cumulative else None,
        unit_price=price.amount,
        cost=cost,
    )
