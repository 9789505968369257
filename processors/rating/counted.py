"""Lines whose key is counted, in log order (CREDITS.md 3.26): in columns, or one at a time.

The quantity of a line's key (account, contract, product, match, billing period) moves with every
line that is priced, the maximum of a `max` and the seen values of a `unique` with it; a line beyond
the limits leaves them as they were.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar, cast

import polars as pl

from processors.rating.curves import Curve, curve_of
from processors.rating.keys import Key
from processors.rating.known import Known
from processors.rating.lines import Decision, Lines
from processors.rating.tiers import TIERED, tiered_costs
from projections.pricing import COST_LIMIT, QUANTITY_LIMIT, Price, line_cost
from projections.rates.rows import quantity_key, seen_key

T = TypeVar("T")
_SHIFT: Final = 32
"""A key's number is of a party and, below this bit, of a decision."""


def price_counted(
    lines: Lines, at: Sequence[int], accounts: Sequence[str], known: Known
) -> tuple[pl.Series, pl.Series]:
    """The cost of each row `at`, null beyond the limits, and its key's quantity before it.

    The latter for cumulative prices, null for others. `accounts` is the batch's. The quantities of
    `max` and `unique` lines are written into `lines`.
    """
    keys = _keys(lines, at, accounts, known)
    codes = [lines.codes[line] for line in at]
    terms = known.tiered.of(codes, TIERED.names())
    listed = list(zip(codes, terms.get_column("reach").is_not_null(), strict=True))
    decisions = known.decisions.values
    singly = {decisions[code].product for code, tiered in set(listed) if not tiered}
    parts = [n for n, code in enumerate(codes) if decisions[code].product not in singly]
    found = _in_columns(lines, _at(at, parts), _at(keys, parts), terms[parts]) if parts else None
    if found is None or len(parts) < len(at):
        others = sorted(set(range(len(at))).difference(parts if found else ()))
        priced = _one_by_one(lines, _at(at, others), _at(keys, others), known)
        found = _merged(len(at), (others, priced), (parts, found))
    known.keys.put(dict.fromkeys(keys))
    return found


def _merged(
    height: int, *parts: tuple[Sequence[int], tuple[pl.Series, pl.Series] | None]
) -> tuple[pl.Series, pl.Series]:
    """The parts' columns, each value at its place."""
    empty = pl.Series([None], dtype=pl.Int128)
    cost, before = empty.new_from_index(0, height), empty.new_from_index(0, height)
    for places, columns in parts:
        if columns is not None:
            cost.scatter(places, columns[0])  # in place
            before.scatter(places, columns[1])
    return cost, before


def _at(values: Sequence[T], places: Sequence[int]) -> Sequence[T]:
    return values if len(places) == len(values) else [values[place] for place in places]


def _in_columns(
    lines: Lines, at: Sequence[int], keys: Sequence[Key], terms: pl.DataFrame
) -> tuple[pl.Series, pl.Series] | None:
    """Lines of tiered prices, their TERMS given; None where a number might be too large."""
    distinct = list(dict.fromkeys(keys))
    slots = {key: slot for slot, key in enumerate(distinct)}
    quantities = cast("list[int]", [lines.units[line] for line in at])
    totals = [key.total for key in distinct]
    priced = tiered_costs(terms, list(map(slots.__getitem__, keys)), quantities, totals)
    if priced is None:
        return None
    cost, before, ends = priced
    for slot, total in ends:
        key = distinct[slot]
        key.total, key.moved, key.curve = total, True, None
    return cost, before


def _one_by_one(
    lines: Lines, at: Sequence[int], keys: Sequence[Key], known: Known
) -> tuple[pl.Series, pl.Series]:
    units = lines.units
    pricings = {code: _Pricing.of(known.decisions.values[code]) for code in set(lines.codes)}
    if any(pricing.stateful == "unique" for pricing in pricings.values()):
        _load_seen(lines, at, keys, known)
    costs: list[int | None] = []
    befores: list[int | None] = []
    for line, key in zip(at, keys, strict=True):
        value = units[line]
        price, curve, stateful = pricings[lines.codes[line]]
        if stateful is None:
            quantity = value
        else:
            quantity = units[line] = key.measure(stateful, value, known.rows)
        assert type(quantity) is int
        total = key.total + quantity
        cost: int | None
        if curve is None:
            befores.append(None)
            assert price is not None
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
    return pl.Series(costs, dtype=pl.Int128), pl.Series(befores, dtype=pl.Int128)


class _Pricing(NamedTuple):
    """How a decision's lines are priced: by a curve or singly; `max`, `unique` or neither."""

    price: Price | None
    curve: Curve | None
    stateful: str | None

    @classmethod
    def of(cls, decision: Decision) -> "_Pricing":
        price, aggregation = decision.price, decision.aggregation
        stateful = aggregation if aggregation in ("max", "unique") else None
        return cls(price, curve_of(price) if price and price.cumulative else None, stateful)


def _keys(lines: Lines, at: Sequence[int], accounts: Sequence[str], known: Known) -> list[Key]:
    """The key of each row `at`."""
    events, codes, parties, book = lines.events, lines.codes, lines.parties, known.keys
    keys: list[Key | None] = []
    missing: dict[tuple[str, int], tuple[int, int]] = {}
    last, of_account = -1, dict[int, Key]()
    for line in at:
        event = events[line]
        if event != last:
            last, of_account = event, book.of(accounts[event])
        number = parties[line] << _SHIFT | codes[line]
        key = of_account.get(number)
        keys.append(key)
        if key is None:
            missing[accounts[event], number] = parties[line], codes[line]
    if missing:
        book.add((place[0], place[1], _name(place[0], *of, known)) for place, of in missing.items())
        for index, key in enumerate(keys):
            if key is None:
                line = at[index]
                number = parties[line] << _SHIFT | codes[line]
                keys[index] = book.of(accounts[events[line]])[number]
    return keys  # type: ignore[return-value]


def _name(account: str, number: int, code: int, known: Known) -> str:
    party, decision = known.parties.values[number], known.decisions.values[code]
    assert decision.product is not None
    assert decision.match is not None
    assert party.period is not None
    return quantity_key(account, party.contract, decision.product, decision.match, party.period)


def _load_seen(lines: Lines, at: Sequence[int], keys: Sequence[Key], known: Known) -> None:
    """Load the rows of the values that `unique` lines look for."""
    decisions = known.decisions.values
    known.rows.load(
        seen_key(key.name, str(lines.units[line]))
        for line, key in zip(at, keys, strict=True)
        if decisions[lines.codes[line]].aggregation == "unique"
    )
