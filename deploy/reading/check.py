"""`drawdown check`: the question out of texts, and the answer for people."""

import json
from typing import Any

from rich.console import Console

from projections.rates.extract import load_data
from projections.reading.check import Asked
from schemas.errors import ConfigurationError
from schemas.numbers import NumberError, Quantity
from schemas.times import TimeError, parse_instant


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
            None if data is None else _json(data),
            contract,
            None if time is None else parse_instant(time),
        )
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"--data: {error}") from error
    except NumberError as error:
        raise ConfigurationError(f"QUANTITY: {error}") from error
    except TimeError as error:
        raise ConfigurationError(f"--time: {error}") from error


def _json(text: str) -> bytes:
    data = text.encode()
    load_data(data)  # what is no JSON is told before anything is read
    return data


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
