"""`drawdown check`: may an account use so much now, as of a stated position?

Rating's rows say what it costs, those of balances who would pay; nothing is written. What is due by
the journal time of the answer is done first, in a copy.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from deploy.reading.fixed import FixedRows, read_fixed
from deploy.reading.surroundings import Surroundings
from projections.balances.books import CATALOG, Books
from projections.balances.stage import STAGE as BALANCES
from projections.entitlement import Question, Tariffs, check
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
from projections.rows import Rows
from schemas.errors import ConfigurationError
from schemas.numbers import CREDIT_DECIMALS, NumberError, Quantity, format_units
from schemas.times import TimeError, format_instant, parse_instant


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked; `quantity` in units, `data` as `load_data` gives it, `time` None: now."""

    account: str
    product: str
    quantity: int
    data: Any = None
    contract: str | None = None
    time: int | None = None


def asked(
    account: str,
    product: str,
    quantity: str,
    data: str | None,
    contract: str | None,
    time: str | None,
) -> Asked:
    """The question out of texts. Raises ConfigurationError that names what is wrong with one."""
    try:
        return Asked(
            account,
            product,
            Quantity.parse(quantity).units,
            None if data is None else load_data(data.encode()),
            contract,
            None if time is None else parse_instant(time),
        )
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"--data: {error}") from error
    except NumberError as error:
        raise ConfigurationError(f"QUANTITY: {error}") from error
    except TimeError as error:
        raise ConfigurationError(f"--time: {error}") from error


def tariffs_of(rows: Rows[RatingRow], account: str) -> Tariffs:
    """What rating's rows say of an account's prices."""

    def total(contract: str | None, product: str, match: str, period: int) -> int:
        row = rows.get(quantity_key(account, contract, product, match, period))
        return int(row.total) if isinstance(row, QuantityRow) else 0

    rows.load((CATALOG_KEY, account_key(account), contracts_key(account)))
    return Tariffs(load_catalog(rows), terms_of(rows, account), lineages_of(rows, account), total)


def read_check(around: Surroundings, asked: Asked) -> dict[str, Any]:
    """The answer, with the positions of the rows it was found in.

    The event time is that of the journal unless one is given: of the last record that was rated.
    Raises ConfigurationError where the topics do not exist, StoreUnavailable.
    """
    number = around.partition_of(asked.account)

    def ask(readers: Sequence[FixedRows]) -> dict[str, Any]:
        return _answer(asked, *readers) | {"partition": number}

    return read_fixed(around.snapshots, number, (RATING, BALANCES), ask)


def _answer(asked: Asked, rating: FixedRows, balances: FixedRows) -> dict[str, Any]:
    tariffs = tariffs_of(Rows(rating, encode_row, decode_row), asked.account)
    books = Books(balances)
    row = books.accounts((asked.account,), (CATALOG,)).get(asked.account)
    clock = max(rating.position.clock, 0 if row is None else row.clock)
    time = clock if asked.time is None else asked.time
    question = Question(
        asked.account, asked.product, asked.quantity, time, clock, asked.data, asked.contract
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


def show(answer: dict[str, Any], console: Console) -> None:
    """Print the answer and where it was found."""
    verdict = "allow" if answer["allowed"] else f"deny: {answer['why']}"
    figures = [
        f"{name.replace('_', ' ')} {answer[name]}"
        for name in ("cost", "available", "would_overage")
        if answer[name] is not None
    ]
    places = ", ".join(f"{of} {':'.join(map(str, at))}" for of, at in answer["position"].items())
    where = f"partition {answer['partition']}, position of {places}"
    for line in (f"{verdict} ({', '.join(figures)})", f"as of {answer['journal_time']}, {where}"):
        console.print(line, markup=False, highlight=False)


def _text(units: int | None) -> str | None:
    return None if units is None else format_units(units, CREDIT_DECIMALS)
