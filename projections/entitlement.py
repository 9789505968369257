"""May an account use so much of a product now? The question before usage (credits.md section 8).

The price is chosen by `projections.rates`, who would pay by `projections.balances.authorise`: what
the folds use, so a check and a drawdown of the same line at the same position always agree.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from projections.balances import limits
from projections.balances.authorise import authorise
from projections.balances.books import Books
from projections.balances.burn import Draw
from projections.balances.drawing import draw_line
from projections.balances.due import do_what_is_due
from projections.balances.postings import OVERAGE
from projections.balances.row import WALLET, BalanceRow
from projections.balances.step import Step
from projections.contracts import Lineage
from projections.pricing import line_cost
from projections.rates.catalog import Catalog
from projections.rates.choice import AccountTerms, Choice, EntityLimit, choose
from projections.rates.extract import at_path, dimension_of, text_of
from schemas.frames import RatedKind
from schemas.reasons import Reason

_NOWHERE: Final = {"journal_offset": 0, "row": 0, "ordinal": 0, "kind": int(RatedKind.LINE)}


@dataclass(frozen=True, slots=True)
class Question:
    """A line that is not drawn yet. `quantity` in units of 10^-9, `time` and `clock` microseconds.

    `quantity` is the line's: of a `max` product the rise, of a `unique` one the number of first
    sights. `data` is JSON as `load_data` gives it: dimensions and the entities of limits are in it.
    `contract` is the one that the event would name, `time` its event time, `clock` journal time.
    """

    account: str
    product: str
    quantity: int
    time: int
    clock: int
    data: Any = None
    contract: str | None = None


@dataclass(frozen=True, slots=True)
class Tariffs:
    """What rating holds of an account at a position; `terms` None: there is no such account.

    `total` gives what a key has counted so far: of contract, product, match and period start.
    """

    catalog: Catalog
    terms: AccountTerms | None
    lineages: Mapping[str, Lineage]
    total: Callable[[str | None, str, str, int], int]


@dataclass(frozen=True, slots=True)
class Check:
    """The answer; amounts are units of 10^-9 credits.

    `why` it is denied: `block`, `cap`, `grace`, `limit <id>`, or the reason (schemas.reasons) for
    which the line could not be priced; then `cost` and `would_overage` are None. `available` is the
    account's before the line, `would_overage` what the line would add to what is owed, after the
    multiplier; below 0 where credits come back.
    """

    why: str | None
    available: int
    cost: int | None
    would_overage: int | None

    @property
    def allowed(self) -> bool:
        """Is there no reason against it?"""
        return self.why is None


def check(question: Question, tariffs: Tariffs, books: Books) -> Check:
    """Answer as of `tariffs` and `books`, once all is done that is due by `question.clock`.

    `books` must be a copy that is never committed: what is due happens in it.
    """
    row = books.account(question.account)
    step = Step(_NOWHERE | {"at": question.clock}, books)
    if row is not None:
        do_what_is_due(row, question.clock, step)
        row.clock = question.clock
    priced = _price(question, tariffs)
    if row is None or isinstance(priced, Reason):
        reason = Reason.UNKNOWN_ACCOUNT if not isinstance(priced, Reason) else priced
        return Check(str(reason), 0 if row is None else row.available, None, None)
    line, entities = priced
    cost, available = line["cost"], row.available
    if cost > 0:
        scope, product = line["contract"] or WALLET, question.product
        found = limits.uses(books, row, scope, product, question.time, entities)
        ask = Draw(product, books.tags(product), scope, question.time, question.clock)
        verdict = authorise(row, ask, cost, found)
        return Check(verdict.why, available, cost, verdict.overage)
    return Check(None, available, cost, _returned(row, line, step))


def _price(question: Question, tariffs: Tariffs) -> tuple[dict[str, Any], dict[str, str]] | Reason:
    """The line and its entities by limit, or why it has no price: reasons as rating gives them."""
    if tariffs.terms is None:
        return Reason.UNKNOWN_ACCOUNT
    product = tariffs.catalog.product(question.product)
    if product is None:
        return Reason.UNKNOWN_PRODUCT
    if question.quantity < 0:
        return Reason.NEGATIVE_QUANTITY
    data = question.data
    dimensions = {name: dimension_of(at_path(data, name)) for name in product.meter.dimensions}
    choice = choose(
        tariffs.catalog,
        tariffs.terms,
        tariffs.lineages,
        product,
        question.time,
        dimensions,
        question.contract,
    )
    if isinstance(choice, Reason):
        return choice
    standing, charge = choice.standing, choice.charge
    before = 0
    if charge.price.cumulative:
        before = tariffs.total(standing.contract, product.id, charge.match, standing.period[0])
    cost = line_cost(charge.price, question.quantity, before)
    if cost is None:
        return Reason.COST_OUT_OF_RANGE
    return _line(question, choice, before, cost), _entities(standing.limits, data)


def _line(question: Question, choice: Choice, before: int, cost: int) -> dict[str, Any]:
    """What drawdown needs of a rated line."""
    standing, charge = choice.standing, choice.charge
    return {
        "time": question.time,
        "product": question.product,
        "contract": standing.contract,
        "match": charge.match,
        "period": standing.period[0],
        "before": before if charge.price.cumulative else None,
        "cost": cost,
        "entities": None,
        "mirror": None,
    }


def _entities(by_path: tuple[EntityLimit, ...], data: Any) -> dict[str, str]:  # noqa: ANN401
    """The entity of each limit by a data path that `data` has one for."""
    found = {limit.id: text_of(at_path(data, limit.path)) for limit in by_path}
    return {limit: entity for limit, entity in found.items() if entity is not None}


def _returned(row: BalanceRow, line: Mapping[str, Any], step: Step) -> int:
    """What a line of cost 0 or less adds to the overage: it is drawn in the copy."""
    start = len(step.postings)
    draw_line(row, line, step)
    return sum(made.amount for made in step.postings[start:] if made.posting == OVERAGE)
