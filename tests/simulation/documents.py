"""The documents and the data of the traffic: each valid, most of them at odds with some other."""

from random import Random
from typing import Any, Final

from schemas.times import format_instant, parse_instant
from tests.simulation import terms
from tests.simulation.clock import HOUR
from tests.simulation.terms import Fields

EVENT_TYPES: Final = ("llm", "llm", "llm", "call", "store", "session", "unknown")
METERED: Final = ("tokens", "calls", "gold", "storage", "users")
FROM: Final = parse_instant("2026-03-01T00:00:00Z")
POISON: Final = (
    b"\xff\xfe",
    b"{",
    b"[]",
    b"{}",
    b"",
    b'{"specversion":"1.0","id":"x","source":"s","type":"llm","subject":"acme"}',
    b'{"kind":"Grant","id":"g","account":"acme","surprise":1}',
    b'{"kind":"Surprise","id":"g"}',
)


def data(chance: Random) -> Fields:
    """Of one event: whatever the products may look for."""
    found: Fields = {
        "tokens": chance.choice((1, 7, 12, 40, 120, "3.5", 0)),
        "model": chance.choice(("large", "small", 3, True)),
        "gb": chance.choice((1, 2, "2.5", 8)),
        "user": chance.choice(("u1", "u2", "u3", 4)),
        "team": chance.choice(("red", "blue")),
    }
    if chance.random() < 0.06:
        found["tokens"] = chance.choice((-1, "x", None))
    return found


def opening(chance: Random, accounts: list[str]) -> list[Fields]:
    """What a business begins with, mostly in a sensible order."""
    found = [*_catalog(chance)]
    for account in accounts:
        found.append(terms.account(chance, account, FROM))
        if chance.random() < 0.6:
            found.append(terms.contract(chance, account, "c1", FROM))
        found.extend(
            terms.grant(chance, account, f"g{n}", FROM) for n in range(chance.randint(0, 2))
        )
    if chance.random() < 0.25:  # something comes too late for what needs it
        late = found.pop(chance.randrange(len(found)))
        found.append(late)
    return found


def _catalog(chance: Random) -> list[Fields]:
    meters: list[tuple[str, Fields]] = [
        ("tokens", {"event_type": "llm", "aggregation": "sum", "value": "tokens"}),
        ("calls", {"event_type": "call", "aggregation": "count"}),
        ("gold", {"event_type": "llm", "aggregation": "count", "filter": {"model": "large"}}),
        ("storage", {"event_type": "store", "aggregation": "max", "value": "gb"}),
        ("users", {"event_type": "session", "aggregation": "unique", "value": "user"}),
    ]
    tags = {"tokens": ["ai"], "gold": ["ai"], "users": ["people"]}
    products = [
        {
            "kind": "Product",
            "id": name,
            "tags": tags.get(name, []),
            "meter": meter | {"dimensions": ["model"]},
        }
        for name, meter in chance.sample(meters, chance.randint(2, 5))
    ]
    names = [product["id"] for product in products]
    cards = [_card(chance, "standard", names)]
    if chance.random() < 0.4:
        cards.append(_card(chance, "special", names))
    pack: Fields = {
        "kind": "Pack",
        "id": "pack",
        "amount": "6",
        "price": {"amount": "9.99", "currency": "USD"},
        "breaks": [{"from_quantity": "2", "price": {"amount": "8.33", "currency": "USD"}}],
        "expiry": "P2D",
    }
    return [*products, *cards, pack]


def _card(chance: Random, name: str, products: list[Any]) -> Fields:
    versions = [_version(chance, 1, "2026-01-01T00:00:00Z", products)]
    if chance.random() < 0.4:
        start = format_instant(FROM + chance.randint(-2, 3) * HOUR)
        versions.append(_version(chance, 2, start, products))
    return {"kind": "RateCard", "id": name, "versions": versions}


def _version(chance: Random, number: int, start: str, products: list[Any]) -> Fields:
    rates: list[Fields] = []
    for product in products:
        if chance.random() < 0.4:
            match = {"model": chance.choice(("large", "3", "true"))}
            rates.append({"product": product, "match": match, "price": chance.choice(terms.PRICES)})
        if chance.random() < 0.93:
            rates.append({"product": product, "price": chance.choice(terms.PRICES)})
    return {"version": number, "effective_from": start, "rates": rates}
