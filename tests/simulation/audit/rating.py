"""What rating made of each journal row: its outcome (I1), its products, its prices, its keys."""

import json
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

from schemas.frames import JournalKind, RatedKind
from schemas.times import format_instant
from tests.simulation.audit.prices import CUMULATIVE, cost_of
from tests.simulation.audit.rates import counts, rate_of
from tests.simulation.audit.reading import Logs, Place, Row
from tests.simulation.audit.terms import Fields, Terms, text_of

Key = tuple[Any, ...]
_LINE, _UNRATED = int(RatedKind.LINE), int(RatedKind.UNRATED)
_REFUSED, _DOCUMENT = int(RatedKind.REFUSED), int(RatedKind.DOCUMENT)
_VOIDED: Final = -1
_CORRECTIONS: Final = {"replay", "backfill"}


class RatingAudit:
    """Walks the journal; `terms` are as of the row that was walked last."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self.terms = Terms()
        self.clock = 0
        self.events: dict[tuple[str, str, str], Fields] = {}
        self._counted: dict[Key, Fraction] = defaultdict(Fraction)
        self._most: dict[Key, Fraction] = defaultdict(Fraction)
        self._seen: dict[Key, set[str]] = defaultdict(set)
        self._ended: dict[Key, int] = {}
        self._by_place: dict[Place, list[Row]] = defaultdict(list)
        for row in logs.rated:
            self._by_place[row["journal_offset"], row["row"]].append(row)

    def walk(self) -> Iterator[tuple[list[Row], list[str] | None]]:
        """The rated rows of each journal row, and what is wrong with them.

        Each first with None, while `terms` are still those before it.
        """
        places = {(row["journal_offset"], row["row"]) for row in self._logs.journal}
        if stray := set(self._by_place) - places:
            yield [], [f"I1: rated rows of no journal row: {sorted(stray)}"]
        for row in self._logs.journal:
            place = (row["journal_offset"], row["row"])
            rated = self._by_place.get(place, [])
            yield rated, None
            self.clock = max(self.clock, row["received_at"])
            faults = [f"{place} {fault}" for fault in self._row(row, rated)]
            if any(found["at"] != self.clock for found in rated):
                faults.append(f"{place}: J is {self.clock}, not {[r['at'] for r in rated]}")
            if [found["ordinal"] for found in rated] != list(range(len(rated))):
                faults.append(f"{place}: ordinals {[found['ordinal'] for found in rated]}")
            yield rated, faults

    def _row(self, row: Row, rated: list[Row]) -> Iterator[str]:
        kinds = [found["kind"] for found in rated]
        if row["kind"] == JournalKind.TICK:
            if kinds != [int(RatedKind.TICK)]:
                yield f"I1: a tick ended as {kinds}"
        elif row["kind"] == JournalKind.USAGE:
            event = self._event_of(row)
            key = (event["subject"], event["source"], event["id"])
            self.events[key] = event
            for product in (None, *self.terms.products):
                self._ended.pop((*key, product), None)  # a window later it is another event
            yield from self._ending(event, rated, None)
        else:
            yield from self._document(json.loads(row["data"]), rated)

    def _event_of(self, row: Row) -> Fields:
        found = {
            "subject": row["account"],
            "source": row["source"],
            "id": row["id"],
            "type": row["type"],
            "time": format_instant(row["time"]),
            "data": None if row["data"] is None else json.loads(row["data"]),
        }
        return found if row["contract"] is None else found | {"contract": row["contract"]}

    def _document(self, document: Fields, rated: list[Row]) -> Iterator[str]:
        kinds = {found["kind"] for found in rated}
        if _REFUSED in kinds:
            return
        kind = document["kind"]
        if kind == "void_usage":
            for line in rated:
                if line["kind"] == _LINE:
                    yield from self._voided(document, line)
        elif kind in _CORRECTIONS and kinds & {_LINE, _UNRATED}:
            event = self._corrected(document)
            if event is None:
                yield f"I1: {document} is of no usage"
                return
            known = (event["subject"], event["source"], event["id"])
            self.events.setdefault(known, event)
            if kind == "backfill":
                yield from self._ending(event, rated, None)
            else:
                yield from self._ending(event, rated, {found["product"] for found in rated})
        elif _DOCUMENT in kinds or kind == "RateCard":
            self.terms.apply(document, self.clock)

    def _corrected(self, document: Fields) -> Fields | None:
        if document["kind"] == "backfill":
            event: Fields = json.loads(document["event"])
            return event
        return self.events.get((document["account"], document["source"], document["event"]))

    def _ending(self, event: Fields, rated: list[Row], only: set[str] | None) -> Iterator[str]:
        """An event ends in lines and unrated rows, one for each product, or is refused."""
        name = f"{event['subject']} {event['source']} {event['id']}"
        products = [product["id"] for product in self.terms.meters(event)]
        negative = self._negative(event, products)
        refused = [found["reason"] for found in rated if found["kind"] == _REFUSED]
        if negative or refused:
            if (len(rated), refused) != (1, ["negative_quantity"]) or not negative:
                yield f"I1: {name} ended {refused}, negative: {negative}"
            return
        found = [line["product"] for line in rated]
        if only is not None:
            products = [product for product in products if product in only]
        expected: list[Any] = list(products) or [None]
        if found != expected:
            yield f"I1: {name} ended for {found}, expected {expected}"
            return
        for line in rated:
            identity = (event["subject"], event["source"], event["id"], line["product"])
            if line["kind"] == _LINE and self._ended.get(identity) in {_LINE, _VOIDED}:
                yield f"I2: {identity} is priced twice"
            waited = {self._ended.get(identity), self._ended.get((*identity[:3], None))}
            if only is not None and _UNRATED not in waited:
                yield f"{identity} did not wait"
            self._ended[identity] = line["kind"]
            yield from (f"{name}: {fault}" for fault in self._line(event, line))

    def _negative(self, event: Fields, products: list[str]) -> bool:
        meters = [self.terms.products[name]["meter"] for name in products]
        return any(
            (value := _number((event["data"] or {}).get(meter["value"]))) is not None and value < 0
            for meter in meters
            if meter["aggregation"] in {"sum", "max"}
        )

    def _line(self, event: Fields, line: Row) -> Iterator[str]:
        product = line["product"]
        reason = "no_product" if product is None else None
        rate: Fields | str = reason or ""
        contract, named = None, False
        value = None
        if product is not None:
            meter = self.terms.products[product]["meter"]
            value = _value(meter, event)
            contract, named = self.terms.covering(event, product)
            rate = "bad_value" if value is None else rate_of(self.terms, event, product, contract)
        if isinstance(rate, str):
            if line["kind"] != _UNRATED or line["reason"] != rate:
                yield f"{product} ended {line['kind']} {line['reason']}, expected {rate}"
            return
        if line["kind"] != _LINE:
            yield f"{product} is unrated ({line['reason']}), expected {rate}"
            return
        period = self.terms.period(event["subject"], contract, line["time"])
        match = json.dumps(rate["match"], sort_keys=True)
        key = (event["subject"], contract, product, match, period)
        said = (line["contract"], bool(line["named"]), line["period"], json.loads(line["match"]))
        if said != (contract, named, period, rate["match"]):
            yield f"{product}: {said}, expected {(contract, named, period, rate['match'])}"
            return
        quantity = self._quantity(key, product, value)
        yield from self._priced(key, line, quantity, rate["price"], Fraction(rate["times"]))

    def _quantity(self, key: Key, product: str, value: Any) -> Fraction:
        match self.terms.products[product]["meter"]["aggregation"]:
            case "max":
                rise: Fraction = max(Fraction(0), value - self._most[key])
                self._most[key] += rise
                return rise
            case "unique":
                new = value not in self._seen[key]
                self._seen[key].add(value)
                return Fraction(new)
        quantity: Fraction = value
        return quantity

    def _priced(
        self, key: Key, line: Row, quantity: Fraction, price: Fields, times: Fraction
    ) -> Iterator[str]:
        before = self._counted[key]
        tallied = line["before"] is not None
        if tallied and Fraction(line["before"]) != before:
            yield f"key {key} counts {line['before']}, expected {before}"
        if tallied != (price["model"] in CUMULATIVE):
            yield f"key {key} says it counts {line['before']}, its price is {price}"
        self._count(key, quantity)
        expected = (quantity, cost_of(price, quantity, before, times))
        if (Fraction(line["quantity"]), Fraction(line["cost"])) != expected:
            yield f"{line['quantity']} at {line['cost']}, expected {expected} by {price} {times}"

    def _count(self, key: Key, quantity: Fraction) -> None:
        """Counted once any cumulative price of the product is known."""
        account, contract, product, _, _ = key
        if counts(self.terms, account, product, contract):
            self._counted[key] += quantity

    def _voided(self, document: Fields, line: Row) -> Iterator[str]:
        """A void's line: at the recorded price, from what the key counts by now."""
        recorded = [
            found
            for found in document["lines"]
            if (found["product"], found.get("contract")) == (line["product"], line["contract"])
        ]
        identity = (document["account"], document["source"], document["event"], line["product"])
        if self._ended.get(identity) != _LINE or len(recorded) != 1:
            yield f"I2: a void of {identity}, which ended {self._ended.get(identity)}"
            return
        self._ended[identity] = _VOIDED
        price = json.loads(line["price"])
        times = Fraction(price.pop("multiplier", "1"))
        quantity = -Fraction(recorded[0]["quantity"])
        match = json.dumps(json.loads(line["match"]), sort_keys=True)
        key = (document["account"], line["contract"], line["product"], match, line["period"])
        if price["model"] == "flat":
            if Fraction(line["cost"]) != -Fraction(recorded[0]["cost"]):
                yield f"{identity} costs {line['cost']} to void, {recorded[0]['cost']} before"
            self._count(key, quantity)
            return
        yield from self._priced(key, line, quantity, price, times)


def _number(value: Any) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return Fraction(value)
    except ValueError:
        return None


def _value(meter: Fields, event: Fields) -> Any:
    if meter["aggregation"] == "count":
        return Fraction(1)
    value = (event["data"] or {}).get(meter["value"])
    return text_of(value) if meter["aggregation"] == "unique" else _number(value)
