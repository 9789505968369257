"""May an account use so much now, as of a stated position?

Rating's rows say what it costs, those of balances who would pay; nothing is written. What is due by
the journal time of the answer is done first, in a copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from projections.balances.books import CATALOG, Books
from projections.balances.stage import STAGE as BALANCES
from projections.entitlement import Question, Tariffs, check
from projections.rates.catalog import Catalog
from projections.rates.extract import load_data
from projections.rates.held import lineages_of, load_catalog, terms_of
from projections.rates.rows import (
    CATALOG_KEY,
    QuantityRow,
    RatingRow,
    account_key,
    contracts_key,
    decode_row,
    encode_row,
    quantity_key,
)
from projections.rates.rows import STAGE as RATING
from projections.reading.deployment import Deployment
from projections.reading.fixed import FixedRows, PlacedRows, read_fixed
from projections.rows import Rows
from schemas.errors import StoreUnavailable
from schemas.numbers import CREDIT_DECIMALS, format_units
from schemas.times import format_instant


class Behind(StoreUnavailable):
    """Balances have not folded contracts yet that rating knows, and would judge without them."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__("balances have not folded a contract of the account yet: ask again")
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked; `quantity` in units, `data` the bytes of JSON, `time` None: now.

    What is made of the bytes takes fifty times as much, so they are kept while rows are read.
    """

    account: str
    product: str
    quantity: int
    data: bytes | None = None
    contract: str | None = None
    time: int | None = None


def tariffs_of(rows: Rows[RatingRow], account: str, catalog: Catalog | None = None) -> Tariffs:
    """What rating's rows say of an account's prices; `catalog` where it is known already."""

    def total(contract: str | None, product: str, match: str, period: int) -> int:
        row = rows.get(quantity_key(account, contract, product, match, period))
        return int(row.total) if isinstance(row, QuantityRow) else 0

    own = (account_key(account), contracts_key(account))
    if catalog is None:
        rows.load((CATALOG_KEY, *own))
        catalog = load_catalog(rows)
    rows.load(own)
    return Tariffs(catalog, terms_of(rows, account), lineages_of(rows, account), total)


def read_check(around: Deployment, asked: Asked) -> dict[str, Any]:
    """The answer, with the positions of the rows it was found in.

    The event time is that of the journal unless one is given: of the last record that was rated.
    Raises ConfigurationError where the topics do not exist, StoreUnavailable and Behind.
    """
    number = around.partition_of(asked.account)

    def ask(readers: Sequence[FixedRows]) -> dict[str, Any]:
        rating, balances = readers
        return answer(asked, rating, balances) | {"partition": number}

    return read_fixed(around.snapshots, number, (RATING, BALANCES), ask)


def answer(
    asked: Asked, rating: PlacedRows, balances: PlacedRows, catalog: Catalog | None = None
) -> dict[str, Any]:
    """The answer out of the rows of both stages. Pure; `catalog` is rating's where it is known.

    Raises Behind.
    """
    tariffs = tariffs_of(Rows(rating, encode_row, decode_row), asked.account, catalog)
    books = Books(balances)
    row = books.accounts((asked.account,), (CATALOG,)).get(asked.account)
    known = () if row is None else row.terms.contracts
    if missing := [name for name in tariffs.lineages if name not in known]:
        raise Behind(missing)
    clock = max(rating.position.clock, 0 if row is None else row.clock)
    time = clock if asked.time is None else asked.time
    data = load_data(asked.data)
    question = Question(
        asked.account, asked.product, asked.quantity, time, clock, data, asked.contract
    )
    found = check(question, tariffs, books)
    return {
        "account": asked.account,
        "product": asked.product,
        "allowed": found.allowed,
        "why": found.why,
        "available": _text(found.available),
        "cost": _text(found.cost),
        "would_overage": _text(found.would_overage),
        "time": format_instant(time),
        "journal_time": format_instant(clock),
        "position": {
            RATING: list(rating.position.reached),
            BALANCES: list(balances.position.reached),
        },
    }


def _text(units: int | None) -> str | None:
    return None if units is None else format_units(units, CREDIT_DECIMALS)
