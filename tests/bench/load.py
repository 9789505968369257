"""The bench's load: accounts, prices and usage, made from a seed."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from schemas.times import DAY, format_instant

PRODUCTS: Final = ("input-tokens", "output-tokens")
MODELS: Final = ("large", "medium", "small", "tiny")
REGIONS: Final = ("eu", "us", "ap")
DUPLICATES: Final = 0.03
_PARETO: Final = 1.16
"""The shape at which a fifth of the accounts makes four fifths of the usage."""
_CHUNK: Final = 10_000


GRANTS: Final = 5
"""Of an account of the rich load: two of its contract, two of the wallet, one for a product."""
DEPLETED: Final = 10
"""One account in so many has nothing left: all that it uses is overage."""


def products() -> list[dict[str, Any]]:
    """Two products of one event type, by two dimensions."""
    return [
        {
            "kind": "Product",
            "id": name,
            "meter": {
                "event_type": "llm.request",
                "aggregation": "sum",
                "value": name.replace("-", "_"),
                "dimensions": ["model", "region"],
            },
        }
        for name in PRODUCTS
    ]


def catalog(*, rich: bool = False) -> list[dict[str, Any]]:
    """The products, each rate priced by the dimensions; `rich`: in graduated tiers."""
    rates = [
        {
            "product": name,
            "match": {"model": model, "region": region},
            "price": _graduated(m, r)
            if rich
            else {"model": "unit", "unit_price": f"{2 + m}.{r}5", "per": "1000"},
        }
        for name in PRODUCTS
        for m, model in enumerate(MODELS)
        for r, region in enumerate(REGIONS)
    ]
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": rates}
    return [*products(), {"kind": "RateCard", "id": "standard", "versions": [version]}]


def _graduated(m: int, r: int) -> dict[str, Any]:
    return {
        "model": "graduated",
        "tiers": [
            {"up_to": "100000", "unit_price": f"0.00{2 + m}{r}5"},
            {"up_to": "1000000", "unit_price": f"0.00{1 + m}{r}5"},
            {"unit_price": f"0.00{1 + m}{r}2"},
        ],
    }


def rich_accounts(count: int, now: int) -> Iterator[dict[str, Any]]:
    """Each account with thresholds, a contract that overrides a price, and its grants."""
    since, until = format_instant(now - DAY), format_instant(now + 30 * DAY)
    for number in range(count):
        name, contract = f"account-{number}", f"contract-{number}"
        yield {
            "kind": "Account",
            "id": name,
            "rate_card": "standard",
            "alerts": [
                {"id": "used", "measure": "consumed_percent", "thresholds": ["50", "80", "95"]},
                {"id": "left", "measure": "remaining_amount", "thresholds": ["1000"]},
            ],
        }
        yield {
            "kind": "Contract",
            "id": contract,
            "account": name,
            "starts_at": since,
            "ends_at": until,
            "overrides": [{"product": PRODUCTS[0], "multiplier": f"0.{50 + number % 50}"}],
        }
        for grant in range(0 if number % DEPLETED == 0 else GRANTS):
            own = {"contract": contract} if grant < 2 else {}
            yield {
                "kind": "Grant",
                "id": f"grant-{number}-{grant}",
                "account": name,
                "type": "promotional" if grant == 2 else "prepaid",
                "amount": "100000000",
                "effective_at": since,
                "expires_at": until,
                "priority": 10 * grant,
                **({"products": [PRODUCTS[1]]} if grant == GRANTS - 1 else {}),
                **own,
            }


def accounts(count: int, now: int) -> Iterator[dict[str, Any]]:
    """Each account, followed by its grant."""
    since, until = format_instant(now - DAY), format_instant(now + 30 * DAY)
    for number in range(count):
        name = f"account-{number}"
        yield {"kind": "Account", "id": name, "rate_card": "standard"}
        yield {
            "kind": "Grant",
            "id": f"grant-{number}",
            "account": name,
            "type": "prepaid",
            "amount": "100000000",
            "effective_at": since,
            "expires_at": until,
        }


def usage(events: int, count: int, now: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """`events` records (account, CloudEvent), of which 3 % repeat one of the last 10,000."""
    rng = random.Random(seed)
    recent: list[tuple[str, bytes]] = []
    time = format_instant(now)
    for number in range(events):
        if recent and rng.random() < DUPLICATES:
            yield recent[rng.randrange(len(recent))]
            continue
        account = f"account-{min(int((rng.paretovariate(_PARETO) - 1) * count / 50), count - 1)}"
        record = (
            account,
            (
                f'{{"specversion":"1.0","id":"{seed}-{number}","source":"bench","type":"llm.request",'
                f'"subject":"{account}","time":"{time}","datacontenttype":"application/json",'
                f'"data":{{"model":"{rng.choice(MODELS)}","region":"{rng.choice(REGIONS)}",'
                f'"input_tokens":{rng.randint(1, 4000)},"output_tokens":{rng.randint(1, 1000)}}}}}'
            ).encode(),
        )
        if len(recent) < _CHUNK:
            recent.append(record)
        else:
            recent[number % _CHUNK] = record
        yield record


def write_usage(path: Path, events: int, count: int, now: int, seed: int = 1) -> None:
    """The file of usage that all runs of a session read: lines of `account TAB event`."""
    with path.open("wb") as file:
        for account, value in usage(events, count, now, seed):
            file.write(account.encode() + b"\t" + value + b"\n")


def read_usage(
    path: Path, first: int = 0, last: int | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """(account, event) of lines `first` to `last`, not including it, of that file."""
    with path.open("rb") as lines:
        for line in islice(lines, first, last):
            account, _, value = line.rstrip(b"\n").partition(b"\t")
            yield account, value
