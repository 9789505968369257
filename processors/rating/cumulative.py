"""Lines whose key is counted: one at a time, in log order (CREDITS.md 3.26).

The quantity of a line's key (account, contract, product, match, billing period) moves with every
line that is priced, the maximum of a `max` and the seen values of a `unique` with it; a line beyond
the limits leaves them as they were.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from processors.rating.fields import ONE
from processors.rating.known import Known
from processors.rating.lines import Lines
from processors.rating.rows import QuantityRow, SeenRow, quantity_key, seen_key
from projections.pricing import (
    COST_LIMIT,
    PRICE_TO_CREDIT,
    QUANTITY_LIMIT,
    Price,
    line_cost,
)
from schemas.numbers import round_half_even

Curve = Callable[[int], int]
"""C of credits.md section 1: the rounded cost of a cumulative quantity."""
_Triple = tuple[str, int, int]


@dataclass(slots=True, eq=False)
class _Key:
    """A key under way; `cost` is what `curve` gives for `total`."""

    name: str
    total: int
    maximum: int | None
    moved: bool = False
    price: Price | None = None
    cost: int = 0


def price_cumulative(
    lines: Lines, at: Sequence[int], accounts: Sequence[str], known: Known
) -> tuple[list[int | None], list[int]]:
    """The cost of each row `at` (None beyond the limits) and the quantity of its key before it.

    `accounts` is the batch's. The quantities of `max` and `unique` lines are written into `lines`.
    """
    decisions, events, units = known.decisions.values, lines.events, lines.units
    codes = [lines.codes[line] for line in at]
    triples: list[_Triple] = list(
        zip(
            [accounts[events[line]] for line in at],
            [lines.parties[line] for line in at],
            codes,
            strict=True,
        )
    )
    keys = _keys(dict.fromkeys(triples), known)
    _load_seen(lines, at, triples, keys, known)
    costs: list[int | None] = []
    befores: list[int] = []
    for line, triple in zip(at, triples, strict=True):
        key, decision = keys[triple], decisions[triple[2]]
        price, aggregation, value = decision.price, decision.aggregation, units[line]
        assert price is not None
        if aggregation == "max":
            assert isinstance(value, int)
            quantity = max(value - (key.maximum or 0), 0)
        elif aggregation == "unique":
            assert isinstance(value, str)
            quantity = 0 if known.rows.get(seen_key(key.name, value)) is not None else ONE
        else:
            assert isinstance(value, int)
            quantity = value
        units[line] = quantity
        befores.append(key.total)
        cost = _advance(key, price, quantity)
        costs.append(cost)
        if cost is None:
            continue
        if aggregation == "max":
            assert isinstance(value, int)
            key.maximum = max(value, key.maximum or 0)
        elif aggregation == "unique" and quantity:
            assert isinstance(value, str)
            known.rows.put(seen_key(key.name, value), SeenRow())
    for key in dict.fromkeys(keys.values()):
        if key.moved:
            maximum = None if key.maximum is None else str(key.maximum)
            known.rows.put(key.name, QuantityRow(str(key.total), maximum))
    return costs, befores


def _advance(key: _Key, price: Price, quantity: int) -> int | None:
    """The cost of a line, by which the key's total moves; None beyond the limits."""
    if not price.cumulative:
        cost = line_cost(price, quantity, 0)
        if cost is not None:
            key.total += quantity
            key.moved, key.price = True, None
        return cost
    total = key.total + quantity
    if total > QUANTITY_LIMIT:
        return None
    curve = curve_of(price)
    before = key.cost if key.price is price else curve(key.total)
    after = curve(total)
    if abs(after - before) > COST_LIMIT:
        return None
    key.total, key.moved, key.price, key.cost = total, True, price, after
    return after - before


def _keys(triples: Iterable[_Triple], known: Known) -> dict[_Triple, _Key]:
    """The key of each (account, party, decision), loaded; several may have one key."""
    names = {triple: _name(triple, known) for triple in triples}
    known.rows.load(names.values())
    keys = {name: _key(name, known) for name in dict.fromkeys(names.values())}
    return {triple: keys[name] for triple, name in names.items()}


def _name(triple: _Triple, known: Known) -> str:
    account, number, code = triple
    party, decision = known.parties.values[number], known.decisions.values[code]
    assert decision.product is not None
    assert decision.match is not None
    assert party.period is not None
    return quantity_key(account, party.contract, decision.product, decision.match, party.period)


def _key(name: str, known: Known) -> _Key:
    row = known.rows.get(name)
    if not isinstance(row, QuantityRow):
        return _Key(name, 0, None)
    return _Key(name, int(row.total), None if row.maximum is None else int(row.maximum))


def _load_seen(
    lines: Lines,
    at: Sequence[int],
    triples: Sequence[_Triple],
    keys: dict[_Triple, _Key],
    known: Known,
) -> None:
    """Load the rows of the values that `unique` lines look for."""
    decisions = known.decisions.values
    if all(decisions[triple[2]].aggregation != "unique" for triple in dict.fromkeys(triples)):
        return
    known.rows.load(
        seen_key(keys[triple].name, str(lines.units[line]))
        for line, triple in zip(at, triples, strict=True)
        if decisions[triple[2]].aggregation == "unique"
    )


@lru_cache(maxsize=65_536)
def curve_of(price: Price) -> Curve:
    """C of a cumulative price, made ready; the same as `pricing.line_cost` from 0."""
    if price.model == "package":
        numerator, denominator = price.terms
        size = price.size
        return lambda total: round_half_even(-(-total // size) * numerator, denominator)
    uppers: list[int] = []
    parts: list[tuple[int, int, int]] = []
    lower = base = 0
    for tier in price.tiers:
        flat = tier.flat * ONE
        if price.model == "graduated":
            base += flat
            parts.append((lower, base * price.multiplier, tier.amount * price.multiplier))
        else:
            parts.append((0, flat * price.multiplier, tier.amount * price.multiplier))
        if tier.up_to is not None:
            base += (tier.up_to - lower) * tier.amount
            lower = tier.up_to
            uppers.append(tier.up_to)

    def curve(total: int) -> int:
        if not total:
            return 0
        start, cost, amount = parts[bisect_left(uppers, total)]
        return round_half_even(cost + (total - start) * amount, _DENOMINATOR)

    return curve


_DENOMINATOR: Final = PRICE_TO_CREDIT * ONE * ONE
