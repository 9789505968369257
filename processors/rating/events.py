"""The plain rating of events: one at a time, in exact integers, no columns.

What cannot be priced waits in a row of its own, by event and product (credits.md section 9).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from processors.rating.rated import Event, Rated
from projections.pricing import line_cost
from projections.rates.catalog import Catalog
from projections.rates.choice import AccountTerms, Choice, EntityLimit, choose
from projections.rates.extract import at_path, dimension_of, load_data, quantity_of, text_of
from projections.rates.held import lineages_of, terms_of
from projections.rates.rows import (
    QuantityRow,
    RatingRow,
    SeenRow,
    WaitingRow,
    event_key,
    quantity_key,
    seen_key,
)
from projections.rows import Rows
from schemas.documents import Product
from schemas.frames import RatedKind
from schemas.numbers import QUANTITY_DECIMALS
from schemas.reasons import Reason

ONE: Final = 10**QUANTITY_DECIMALS
Value = int | str | None
"""What a meter reads: units of a quantity, the text of a `unique` scalar, None for a bad value."""


@dataclass(slots=True)
class EventRating:
    """Rates events under one catalog; `rows` move with every line that is priced."""

    catalog: Catalog
    rows: Rows[RatingRow]

    def rate(self, event: Event, bare: Rated) -> list[Rated]:
        """The rated rows of an event that comes for the first time; what is unrated waits."""
        bare = of_event(bare, event)
        terms = terms_of(self.rows, event.account)
        loaded = load_data(event.data)
        products = [] if terms is None else self.metering(event.type, loaded)
        if terms is None or not products:
            reason = Reason.UNKNOWN_ACCOUNT if terms is None else Reason.NO_PRODUCT
            self.wait(event, None)
            return [unrated(bare, None, reason, event.data)]
        if negative(products, loaded):
            return [refused(bare, Reason.NEGATIVE_QUANTITY, event.data)]
        rated = self.lines(event, bare, products, loaded, terms)
        waiting = [row.product for row in rated if row.kind == RatedKind.UNRATED]
        if waiting:
            self.wait(event, [product for product in waiting if product is not None])
        return rated

    def metering(self, event_type: str, loaded: Any) -> list[Product]:  # noqa: ANN401
        """The products that meter an event, in catalog order."""
        return [p for p in self.catalog.products(event_type) if passes(p, loaded)]

    def lines(
        self,
        event: Event,
        bare: Rated,
        products: Sequence[Product],
        loaded: Any,  # noqa: ANN401 - any JSON value
        terms: AccountTerms,
    ) -> list[Rated]:
        """The row of each product: a line, or unrated with the first reason that applies."""
        return [
            self._line(event, replace(bare, ordinal=ordinal), product, loaded, terms)
            for ordinal, product in enumerate(products)
        ]

    def wait(self, event: Event, products: list[str] | None) -> None:
        """Keep what is needed to price `products` of the event later; None: whatever meters it."""
        key = event_key("n", event.account, event.source, event.id)
        data = None if event.data is None else event.data.decode()
        self.rows.get(key)
        self.rows.put(key, WaitingRow(event.type, event.time, event.contract, data, products))

    def _line(
        self,
        event: Event,
        bare: Rated,
        product: Product,
        loaded: Any,  # noqa: ANN401 - any JSON value
        terms: AccountTerms,
    ) -> Rated:
        value = value_of(product, loaded)
        if value is None:
            return unrated(bare, product.id, Reason.BAD_VALUE, event.data)
        names = product.meter.dimensions
        dimensions = {name: dimension_of(at_path(loaded, name)) for name in names}
        lineages = lineages_of(self.rows, event.account)
        choice = choose(
            self.catalog, terms, lineages, product, event.time, dimensions, event.contract
        )
        if isinstance(choice, Reason):
            return unrated(bare, product.id, choice, event.data)
        standing, charge = choice.standing, choice.charge
        key = quantity_key(
            event.account, standing.contract, product.id, charge.match, standing.period[0]
        )
        cumulative = standing.tariff.cumulative
        row = self.rows.get(key) if cumulative else None
        kept = row if isinstance(row, QuantityRow) else QuantityRow("0")
        quantity, before = self._quantity(product, value, key, kept), int(kept.total)
        cost = line_cost(charge.price, quantity, before)
        if cost is None:
            return unrated(bare, product.id, Reason.COST_OUT_OF_RANGE, event.data)
        if cumulative:
            self._count(product, value, key, kept, quantity)
        entities = entities_of(standing.limits, loaded)
        return _priced(bare, product.id, choice, quantity, before, cost, entities)

    def _quantity(self, product: Product, value: Value, key: str, kept: QuantityRow) -> int:
        """What the line is for: the value, the rise of the maximum, or 1 for a first sight."""
        match product.meter.aggregation:
            case "max":
                assert isinstance(value, int)
                return max(value - int(kept.maximum or 0), 0)
            case "unique":
                assert isinstance(value, str)
                return ONE if self.rows.get(seen_key(key, value)) is None else 0
        assert isinstance(value, int)
        return value

    def _count(
        self, product: Product, value: Value, key: str, kept: QuantityRow, quantity: int
    ) -> None:
        maximum = kept.maximum
        if product.meter.aggregation == "max":
            assert isinstance(value, int)
            maximum = str(max(value, int(maximum or 0)))
        if product.meter.aggregation == "unique" and quantity:
            assert isinstance(value, str)
            self.rows.put(seen_key(key, value), SeenRow())
        self.rows.put(key, QuantityRow(str(int(kept.total) + quantity), maximum))


def passes(product: Product, loaded: Any) -> bool:  # noqa: ANN401
    """Whether an event's data holds what the product's filter says."""
    wanted = product.meter.filter.items()
    return all(dimension_of(at_path(loaded, path)) == text for path, text in wanted)


def value_of(product: Product, loaded: Any) -> Value:  # noqa: ANN401
    """What the product meters of an event."""
    meter = product.meter
    if meter.value is None:
        return ONE
    found = at_path(loaded, meter.value)
    return text_of(found) if meter.aggregation == "unique" else quantity_of(found)


def negative(products: Sequence[Product], loaded: Any) -> bool:  # noqa: ANN401
    """Whether any product finds a negative value, which refuses the event."""
    values = (value_of(product, loaded) for product in products)
    return any(isinstance(value, int) and value < 0 for value in values)


def entities_of(limits: Sequence[EntityLimit], loaded: Any) -> str | None:  # noqa: ANN401
    """The entity of each limit that the event has one for, as JSON; None for none."""
    found = [(limit, text_of(at_path(loaded, limit.path))) for limit in limits]
    return entities_text([(limit, entity) for limit, entity in found if entity is not None])


def entities_text(entities: Sequence[tuple[EntityLimit, str]]) -> str | None:
    """The column `entities`."""
    if not entities:
        return None
    listed = [[limit.id, limit.contract, entity] for limit, entity in entities]
    return json.dumps(listed, separators=(",", ":"), ensure_ascii=False)


def of_event(bare: Rated, event: Event) -> Rated:
    """`bare` with the event's key and time."""
    return replace(bare, account=event.account, source=event.source, id=event.id, time=event.time)


def unrated(bare: Rated, product: str | None, reason: Reason, data: bytes | None) -> Rated:
    """The row of what could not be priced."""
    return replace(bare, kind=RatedKind.UNRATED, product=product, reason=str(reason), data=data)


def refused(bare: Rated, reason: Reason, data: bytes | None) -> Rated:
    """The row of what was refused."""
    return replace(bare, kind=RatedKind.REFUSED, reason=str(reason), data=data)


def _priced(
    bare: Rated,
    product: str,
    choice: Choice,
    quantity: int,
    before: int,
    cost: int,
    entities: str | None,
) -> Rated:
    standing, charge = choice.standing, choice.charge
    return replace(
        bare,
        kind=RatedKind.LINE,
        product=product,
        contract=standing.contract,
        named=standing.named,
        revision=standing.revision,
        override=charge.override,
        rate_card=charge.rate_card,
        version=charge.version,
        match=charge.match,
        period=standing.period[0],
        price=charge.price_text,
        quantity=quantity,
        before=before if charge.price.cumulative else None,
        unit_price=charge.price.unit_price,
        cost=cost,
        entities=entities,
    )
