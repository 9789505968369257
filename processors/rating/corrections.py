"""Commands that correct usage: void, replay, backfill (credits.md sections 6 and 9).

Each gives the rows that it makes, or why it is refused, and then it has changed nothing. A command
is applied once: its identity is (account, kind, id).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from processors.rating.backfilled import content_of, remember_backfill, says_the_same
from processors.rating.events import EventRating, negative, of_event, unrated
from processors.rating.rated import Event, Rated
from projections.pricing import Price, price_of_text, void_cost
from projections.rates.extract import load_data
from projections.rates.held import terms_of
from projections.rates.rows import (
    BackfilledRow,
    CommandRow,
    QuantityRow,
    RatingRow,
    VoidedRow,
    WaitingRow,
    command_key,
    digest,
    event_key,
    quantity_key,
)
from projections.rows import Rows
from schemas.documents import (
    Backfill,
    Command,
    Product,
    Replay,
    VoidedLine,
    VoidUsage,
    canonical,
)
from schemas.envelope import decode_structured
from schemas.frames import RatedKind
from schemas.reasons import Reason, Refusal


def applied_before(command: Command, kind: str, rows: Rows[RatingRow]) -> Refusal | bool:
    """Whether this very command was applied; a conflict where its id stands for another."""
    known = rows.get(command_key(command.account, kind, command.id))
    if not isinstance(known, CommandRow):
        return False
    if known.content == digest(canonical(command)):
        return True
    detail = f"{kind} {command.id} was applied with other content"
    return Refusal(Reason.CONFLICT, detail, "id")


def remember(command: Command, kind: str, rows: Rows[RatingRow]) -> None:
    """The command was applied."""
    key = command_key(command.account, kind, command.id)
    rows.put(key, CommandRow(digest(canonical(command))))


def void_usage(command: VoidUsage, bare: Rated, rows: Rows[RatingRow]) -> list[Rated] | Refusal:
    """A line of the negative quantity for each recorded one; none where they were voided before.

    What waits of the event is never priced then.
    """
    if not command.lines or command.time is None:
        detail = f"no line of {command.source} {command.event} is recorded"
        return Refusal(Reason.UNKNOWN_USAGE, detail, "event")
    key = event_key("v", command.account, command.source, command.event)
    row = rows.get(key)
    before = row.products if isinstance(row, VoidedRow) else []
    totals: dict[str, int] = {}
    rated: list[Rated] = []
    for index, line in enumerate(command.lines):
        if line.product in before:
            continue
        place = replace(
            bare,
            ordinal=len(rated),
            source=command.source,
            id=command.event,
            time=command.time,
        )
        made = _voided(line, f"lines[{index}]", place, totals, rows)
        if isinstance(made, Refusal):
            return made
        rated.append(made)
    for name, total in totals.items():
        kept = rows.get(name)
        assert isinstance(kept, QuantityRow)
        rows.put(name, QuantityRow(str(total), kept.maximum))
    if rated:
        products = [row.product for row in rated if row.product is not None]
        rows.put(key, VoidedRow(before + products))
    return rated


def _voided(
    line: VoidedLine, path: str, bare: Rated, totals: dict[str, int], rows: Rows[RatingRow]
) -> Rated | Refusal:
    """The line that takes `line` back; `totals` are the keys' quantities after it, by key."""
    assert bare.account is not None
    price = _price(line.price)
    if price is None or line.match is None or line.period is None or line.quantity.units < 0:
        detail = "expected a line as the ledger recorded it"
        return Refusal(Reason.INVALID_DOCUMENT, detail, path)
    quantity, cost = line.quantity.units, line.cost.units
    key = quantity_key(bare.account, line.contract, line.product, line.match, line.period)
    row = rows.get(key)
    total = totals.get(key, int(row.total) if isinstance(row, QuantityRow) else 0)
    if price.cumulative and quantity > total:
        detail = f"expected no more than its key's quantity of {total} units"
        return Refusal(Reason.INVALID_DOCUMENT, detail, f"{path}.quantity")
    returned = void_cost(price, quantity, total, cost)
    if returned is None:
        return Refusal(Reason.COST_OUT_OF_RANGE, "the cost is beyond 10^18", f"{path}.cost")
    if isinstance(row, QuantityRow):
        totals[key] = max(total - quantity, 0)
    return replace(
        bare,
        kind=RatedKind.LINE,
        product=line.product,
        contract=line.contract,
        named=False,
        revision=line.revision,
        override=line.override,
        rate_card=line.rate_card,
        version=line.version,
        match=line.match,
        period=line.period,
        price=line.price,
        quantity=-quantity,
        before=total if price.cumulative else None,
        unit_price=price.unit_price,
        cost=returned,
        entities=line.entities,
        mirror=_mirror(line),
    )


def _price(text: str | None) -> Price | None:
    """The price of a text that a command carries: whoever wrote it, it may be none."""
    if text is None:
        return None
    try:
        return price_of_text(text)
    except (ValueError, AttributeError, TypeError):
        return None


def _mirror(line: VoidedLine) -> str:
    """What the recorded line drew, for its return: the column `mirror`."""
    slices = [[piece.grant, piece.amount.units] for piece in line.slices]
    short = line.cost.units - sum(piece.amount.units for piece in line.slices)
    content = {"overage": line.overage.units, "short": short, "slices": slices}
    return json.dumps(content, separators=(",", ":"))


@dataclass(slots=True)
class Corrections:
    """Replays and backfills: events that are rated at another place in the log."""

    events: EventRating

    def replay(self, command: Replay, bare: Rated) -> list[Rated] | Refusal:
        """Price what waits of an event; what still has no price goes on waiting."""
        rows, named = self.events.rows, command.product
        where = (command.account, command.source, command.event)
        row = rows.get(event_key("n", *where))
        voided = rows.get(event_key("v", *where)) is not None
        if not isinstance(row, WaitingRow) or voided:
            detail = f"nothing of {command.source} {command.event} waits for a price"
            return Refusal(Reason.UNKNOWN_USAGE, detail, "event")
        data = None if row.data is None else row.data.encode()
        event = Event(*where, row.event_type, row.time, row.contract, data)
        if row.products is not None and (not row.products or named not in (None, *row.products)):
            return self._not_waiting(row, named)
        terms = terms_of(rows, event.account)
        assert terms is not None, command
        loaded = load_data(data)
        metering = self.events.metering(event.type, loaded)
        waiting = [p.id for p in metering] if row.products is None else row.products
        tried = [p for p in metering if p.id in waiting and named in (None, p.id)]
        if negative(tried, loaded):
            detail = "a product that meters the event now finds a negative value"
            return Refusal(Reason.NEGATIVE_QUANTITY, detail, "event")
        place = of_event(bare, event)
        rated = self.events.lines(event, place, tried, loaded, terms)
        missing = _missing(row, named, tried)
        rated += [
            unrated(replace(place, ordinal=ordinal), product, Reason.NO_PRODUCT, data)
            for ordinal, product in enumerate(missing, start=len(rated))
        ]
        priced = {line.product for line in rated if line.kind == RatedKind.LINE}
        still = [product for product in waiting if product not in priced]
        if metering or row.products is not None:
            self.events.wait(event if still else replace(event, data=None), still)
        return rated

    def _not_waiting(self, row: WaitingRow, product: str | None) -> Refusal:
        """The event is known, but `product` (None: any) does not wait for a price."""
        known = {p.id for p in self.events.catalog.products(row.event_type)}
        if product is not None and product not in known:
            return Refusal(Reason.UNKNOWN_USAGE, f"{product} does not meter it", "product")
        return Refusal(Reason.ALREADY_RATED, "it was priced meanwhile", "event")

    def backfill(self, command: Backfill, bare: Rated) -> list[Rated] | Refusal:
        """Rate an event that is older than the window, at its event time, once."""
        usage = decode_structured(command.event.encode())
        if isinstance(usage, Refusal):
            path = f"event.{usage.path}" if usage.path else "event"
            return Refusal(usage.reason, usage.detail, path)
        if usage.account != command.account:
            detail = f"expected subject {command.account}, got {usage.account}"
            return Refusal(Reason.INVALID_DOCUMENT, detail, "event.subject")
        event = Event(
            usage.account, usage.source, usage.id, usage.type, usage.time, usage.contract,
            usage.data,
        )  # fmt: skip
        if refusal := self._came_before(event):
            return refusal
        rated = self.events.rate(event, bare)
        if rated[0].kind == RatedKind.REFUSED:
            return Refusal(Reason(rated[0].reason or ""), "a value is negative", "event.data")
        remember_backfill(event, self.events.rows)
        return rated

    def _came_before(self, event: Event) -> Refusal | None:
        """An event of this key was backfilled, waits, or was voided."""
        found = [
            self.events.rows.get(event_key(prefix, event.account, event.source, event.id))
            for prefix in ("b", "n", "v")
        ]
        if not any(found):
            return None
        content = content_of(event.type, event.data, event.contract)
        other = False
        for row in found:
            if isinstance(row, BackfilledRow):
                other = not says_the_same(row, event)
            elif isinstance(row, WaitingRow) and row.products != []:
                data = None if row.data is None else row.data.encode()
                other = content_of(row.event_type, data, row.contract) != content
        detail = f"{event.source} {event.id} came before"
        return Refusal(Reason.CONFLICT if other else Reason.DUPLICATE, detail, "event")


def _missing(row: WaitingRow, named: str | None, tried: Sequence[Product]) -> list[str | None]:
    """Products that wait, or None for the event, which nothing meters now."""
    if row.products is None:
        return [] if tried else [named]
    ids = {product.id for product in tried}
    return [product for product in row.products if product not in ids and named in (None, product)]
