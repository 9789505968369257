"""Limits: budgets inside the pool, of the account or of an entity in the event (section 5)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from projections.balances.alerts import LIMIT_REACHED
from projections.balances.books import Books
from projections.balances.row import BalanceRow
from projections.balances.step import Step
from projections.balances.terms import account_terms, terms_at
from schemas.documents import Limit
from schemas.periods import period_at

OF_ACCOUNT: Final = "account"


@dataclass(frozen=True, slots=True)
class Use:
    """A limit that a line counts towards: the key of its row, and what was used before."""

    limit: Limit
    entity: str | None
    key: str
    used: int

    def passed_by(self, cost: int) -> bool:
        """Would a line of this cost pass the limit?"""
        return self.used + cost > self.limit.amount.units


def limits_of(
    row: BalanceRow, scope: str, product: str, time: int, entities: Mapping[str, str]
) -> Iterator[tuple[Limit, str | None, str]]:
    """The limits that a line counts towards at event time, each with its entity and row key."""
    zone = account_terms(row.terms.document).time_zone
    for limit in terms_at(row, scope, time).limits:
        if limit.products is not None and product not in limit.products:
            continue
        entity = None if limit.by == OF_ACCOUNT else entities.get(limit.id)
        if entity is None and limit.by != OF_ACCOUNT:
            continue
        start, _ = period_at(time, limit.period, None, zone)
        yield limit, entity, f"l:{row.account}|{scope}|{limit.id}|{start}|{entity or ''}"


def uses(
    books: Books, row: BalanceRow, scope: str, product: str, time: int, entities: Mapping[str, str]
) -> list[Use]:
    """What a line counts towards, and how much of it was used."""
    return [
        Use(limit, entity, key, books.limit(key).used)
        for limit, entity, key in limits_of(row, scope, product, time, entities)
    ]


def entities_of(line: Mapping[str, Any]) -> dict[str, str]:
    """The entities of a rated line by limit."""
    text = line["entities"]
    if text is None:
        return {}
    return {limit: entity for limit, _, entity in json.loads(text)}


def count(found: list[Use], row: BalanceRow, scope: str, cost: int, step: Step) -> None:
    """Add a line's cost, net of returns; tell of each limit that it reaches."""
    for use in found:
        limit_row = step.books.limit(use.key)
        limit_row.used += cost
        reached = limit_row.used >= use.limit.amount.units
        if reached and not limit_row.reached:
            step.alert(
                LIMIT_REACHED,
                row.account,
                scope,
                rule=use.limit.id,
                threshold=str(use.limit.amount),
                entity=use.entity,
                amount=limit_row.used,
            )
        limit_row.reached = reached
        step.books.rows.put(use.key, limit_row)
