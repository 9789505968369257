"""Lines whose key is counted: one at a time, in log order (CREDITS.md 3.26).

The quantity of a line's key (account, contract, product, match, billing period) moves with every
line that is priced, the maximum of a `max` and the seen values of a `unique` with it; a line beyond
the limits leaves them as they were.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from processors.rating.curves import Curve, curve_of
from processors.rating.fields import ONE
from processors.rating.known import Known
from processors.rating.lines import Decision, Lines
from processors.rating.rows import QuantityRow, RatingRow, SeenRow, quantity_key, seen_key
from projections.pricing import COST_LIMIT, QUANTITY_LIMIT, Price, line_cost
from projections.rows import Rows

_Triple = tuple[str, int, int]
"""Account, party and decision of a line: they say its key, which others may say as well."""


@dataclass(slots=True, eq=False)
class _Key:
    """A key under way; `cost` is what `curve` gives for `total`."""

    name: str
    total: int
    maximum: int | None
    moved: bool = False
    curve: Curve | None = None
    cost: int = 0

    def measure(self, aggregation: str, value: int | str | None, rows: Rows[RatingRow]) -> int:
        """What a line is for: the rise of the maximum, or 1 for the first sight of a value."""
        if aggregation == "max":
            assert isinstance(value, int)
            return max(value - (self.maximum or 0), 0)
        assert isinstance(value, str)
        return ONE if rows.get(seen_key(self.name, value)) is None else 0

    def keep(self, aggregation: str, value: int | str | None, rows: Rows[RatingRow]) -> None:
        """A line of this value was priced."""
        if aggregation == "max":
            assert isinstance(value, int)
            self.maximum = max(value, self.maximum or 0)
        else:
            assert isinstance(value, str)
            seen = seen_key(self.name, value)
            if rows.get(seen) is None:
                rows.put(seen, SeenRow())


def price_counted(
    lines: Lines, at: Sequence[int], accounts: Sequence[str], known: Known
) -> tuple[list[int | None], list[int | None]]:
    """The cost of each row `at`, None beyond the limits, and its key's quantity before it.

    The latter for cumulative prices, None for others. `accounts` is the batch's. The quantities of
    `max` and `unique` lines are written into `lines`.
    """
    events, units, codes, parties = lines.events, lines.units, lines.codes, lines.parties
    triples: list[_Triple] = [(accounts[events[n]], parties[n], codes[n]) for n in at]
    distinct = dict.fromkeys(triples)
    pricings = {
        code: _Pricing.of(known.decisions.values[code]) for code in {t[2] for t in distinct}
    }
    keys = _keys(distinct, known)
    if any(pricing.stateful == "unique" for pricing in pricings.values()):
        _load_seen(lines, at, triples, keys, known)
    costs: list[int | None] = []
    befores: list[int | None] = []
    for line, triple in zip(at, triples, strict=True):
        key, value = keys[triple], units[line]
        price, curve, stateful = pricings[triple[2]]
        if stateful is None:
            quantity = value
        else:
            quantity = units[line] = key.measure(stateful, value, known.rows)
        assert type(quantity) is int
        total = key.total + quantity
        cost: int | None
        if curve is None:
            befores.append(None)
            cost, after = line_cost(price, quantity, 0), 0
        else:
            befores.append(key.total)
            after = curve(total)
            cost = after - (key.cost if key.curve is curve else curve(key.total))
            if total > QUANTITY_LIMIT or not -COST_LIMIT <= cost <= COST_LIMIT:
                cost = None
        costs.append(cost)
        if cost is not None:
            key.total, key.moved, key.curve, key.cost = total, True, curve, after
            if stateful is not None:
                key.keep(stateful, value, known.rows)
    _put(keys, known)
    return costs, befores


class _Pricing(NamedTuple):
    """How a decision's lines are priced: by a curve or singly; `max`, `unique` or neither."""

    price: Price
    curve: Curve | None
    stateful: str | None

    @classmethod
    def of(cls, decision: Decision) -> "_Pricing":
        price, aggregation = decision.price, decision.aggregation
        assert price is not None
        stateful = aggregation if aggregation in ("max", "unique") else None
        return cls(price, curve_of(price) if price.cumulative else None, stateful)


def _keys(triples: Iterable[_Triple], known: Known) -> dict[_Triple, _Key]:
    """The key of each triple, loaded."""
    names = _names(triples, known)
    known.rows.load(names.values())
    keys: dict[str, _Key] = {}
    found: dict[_Triple, _Key] = {}
    for triple, name in names.items():
        key = keys.get(name)
        if key is None:
            row = known.rows.get(name)
            if isinstance(row, QuantityRow):
                maximum = None if row.maximum is None else int(row.maximum)
                key = _Key(name, int(row.total), maximum)
            else:
                key = _Key(name, 0, None)
            keys[name] = key
        found[triple] = key
    return found


def _names(triples: Iterable[_Triple], known: Known) -> dict[_Triple, str]:
    names: dict[_Triple, str] = {}
    for triple in triples:
        account, number, code = triple
        party, decision = known.parties.values[number], known.decisions.values[code]
        assert decision.product is not None
        assert decision.match is not None
        assert party.period is not None
        names[triple] = quantity_key(
            account, party.contract, decision.product, decision.match, party.period
        )
    return names


def _load_seen(
    lines: Lines,
    at: Sequence[int],
    triples: Sequence[_Triple],
    keys: dict[_Triple, _Key],
    known: Known,
) -> None:
    """Load the rows of the values that `unique` lines look for."""
    decisions = known.decisions.values
    known.rows.load(
        seen_key(keys[triple].name, str(lines.units[line]))
        for line, triple in zip(at, triples, strict=True)
        if decisions[triple[2]].aggregation == "unique"
    )


def _put(keys: dict[_Triple, _Key], known: Known) -> None:
    for key in keys.values():
        if key.moved:
            maximum = None if key.maximum is None else str(key.maximum)
            known.rows.put(key.name, QuantityRow(str(key.total), maximum))
            key.moved = False
