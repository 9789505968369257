"""The documents and the data of the traffic: each valid, most of them at odds with some other."""

import json
from random import Random
from typing import Any, Final

from schemas.times import DAY, format_instant, parse_instant
from tests.simulation.clock import HOUR

ACCOUNTS: Final = ("acme", "beta", "corp", "dyne")
EVENT_TYPES: Final = ("llm", "llm", "llm", "call", "store", "session", "unknown")
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
Fields = dict[str, Any]
_TIERS: Final = [
    {"up_to": "100", "unit_price": "0.03", "flat": "1"},
    {"up_to": "300", "unit_price": "0.0211"},
    {"unit_price": "0.01", "flat": "0.5"},
]
_PRICES: Final[tuple[Fields, ...]] = (
    {"model": "unit", "unit_price": "0.017"},
    {"model": "unit", "unit_price": "1", "per": "30"},
    {"model": "flat", "price": "0.7"},
    {"model": "package", "size": "50", "price": "1.1"},
    {"model": "graduated", "tiers": _TIERS},
    {"model": "volume", "tiers": _TIERS},
)
_BURNS: Final = (
    None,
    None,
    ["promotional_first", "expires_at"],
    ["cost_basis", "issued_at"],
    ["wallet_first", "rolled_over_first"],
    ["-cost_basis", "prepaid_first"],
)
_OVERAGES: Final[tuple[Fields, ...]] = (
    {},
    {"mode": "block", "settle": "next_grant"},
    {"mode": "cap", "cap": "4"},
    {"mode": "cap", "cap": {"percent": "5"}, "multiplier": "1.5"},
    {"mode": "grace", "grace": "PT3H"},
    {"multiplier": "0.333333333", "settle": "next_grant"},
)
_ROLLOVERS: Final[tuple[Fields | None, ...]] = (
    None,
    None,
    {"mode": "full", "max_times": 2},
    {"mode": "percent", "percent": "33.3", "cap": "5", "expiry": "P3D"},
    {"mode": "percent", "percent": "50", "of": "issued", "into": "account", "threshold": "1"},
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
        found.append(update(chance, account, FROM))
        if chance.random() < 0.6:
            found.append(contract(chance, account, "c1", FROM))
        found.extend(grant(chance, account, f"g{n}", FROM) for n in range(chance.randint(0, 2)))
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
            rates.append({"product": product, "match": match, "price": chance.choice(_PRICES)})
        if chance.random() < 0.93:
            rates.append({"product": product, "price": chance.choice(_PRICES)})
    return {"version": number, "effective_from": start, "rates": rates}


def update(chance: Random, account: str, now: int) -> Fields:
    """The account as it is from now on; its time zone never changes."""
    found: Fields = {"kind": "Account", "id": account, "rate_card": "standard"}
    found["time_zone"] = ("UTC", "America/New_York", "Asia/Kolkata")[ACCOUNTS.index(account) % 3]
    if chance.random() < 0.05:
        del found["rate_card"]
    if (burn := chance.choice(_BURNS)) is not None:
        found["burn_policy"] = burn
    found |= _terms(chance, f"{account}-{now // HOUR}")
    if chance.random() < 0.4:
        found["alerts"] = [_rule(chance, "a"), _rule(chance, "b")]
    if chance.random() < 0.2:
        found["late_grace"] = "PT6H"
    return found


def _terms(chance: Random, name: str) -> Fields:
    found: Fields = {}
    if chance.random() < 0.5:
        found["overage"] = chance.choice(_OVERAGES)
    if chance.random() < 0.25:
        found["recurring"] = [
            {
                "id": f"r-{name}",
                "type": chance.choice(("promotional", "prepaid")),
                "amount": "2",
                "cadence": chance.choice(("daily", "weekly", "monthly")),
                "expiry": chance.choice(("end_of_period", "PT30H")),
            }
        ]
    if chance.random() < 0.15:
        fee = {"id": f"f-{name}", "product": "calls", "amount": "0.5", "cadence": "daily"}
        found["fees"] = [fee]
    if chance.random() < 0.15:
        found["top_up"] = {"threshold": "1", "target": "5", "max_per_period": 2, "timeout": "PT5H"}
    if chance.random() < 0.2:
        by = chance.choice(("account", "team"))
        found["limits"] = [{"id": "l", "by": by, "amount": "3", "period": "daily"}]
    return found


def _rule(chance: Random, name: str) -> Fields:
    measure, thresholds = chance.choice(
        (
            ("remaining_amount", ["5", "1"]),
            ("remaining_percent", ["50", "10"]),
            ("consumed_percent", ["50", "80", "100"]),
            ("days_left", ["3"]),
            ("grant_expiring", ["1", "2"]),
        )
    )
    rule: Fields = {"id": name, "measure": measure, "thresholds": thresholds}
    if chance.random() < 0.2:
        rule["at_most_daily"] = True
    return rule


def contract(chance: Random, account: str, name: str, now: int) -> Fields:
    """A contract that begins about now."""
    start = now + chance.choice((-DAY, 0, 0, HOUR))
    found: Fields = {
        "kind": "Contract",
        "id": name,
        "account": account,
        "starts_at": format_instant(start),
    }
    if chance.random() < 0.6:
        found["ends_at"] = format_instant(start + chance.choice((DAY, 6 * DAY, 60 * DAY)))
    if chance.random() < 0.3:
        found["covers"] = chance.choice(({"tags": ["ai"]}, {"products": ["tokens", "calls"]}))
    if chance.random() < 0.3:
        found["rate_card"] = chance.choice(
            ("special", "standard", {"id": "standard", "version": 1})
        )
    if chance.random() < 0.5:
        found["overrides"] = [_override(chance) for _ in range(chance.randint(1, 2))]
    if chance.random() < 0.3:
        found["billing"] = {
            "cycle": chance.choice(("monthly", "quarterly", "annual")),
            "anchor": chance.choice(("2026-01-31", "2026-02-15")),
        }
    if chance.random() < 0.5:
        found["grants"] = [
            {"id": f"{name}g", "type": "prepaid", "amount": chance.choice(("3", "20"))}
        ]
    if name == "c2" and chance.random() < 0.6:
        found["renews"] = "c1"
    if chance.random() < 0.3:
        found["alerts"] = [_rule(chance, "k")]
    found |= _terms(chance, f"{account}-{name}")
    for rule in found.get("recurring", ()):
        rule["per_seat"] = chance.random() < 0.5
    return found


def _override(chance: Random) -> Fields:
    found: Fields = chance.choice(({"product": "tokens"}, {"tag": "ai"}, {"product": "calls"}))
    if chance.random() < 0.4:
        found = found | {"match": {"model": "large"}}
    if chance.random() < 0.5:
        return found | {"multiplier": chance.choice(("0.9", "0.333333333", "0"))}
    return found | {"price": chance.choice(_PRICES)}


def grant(chance: Random, account: str, name: str, now: int) -> Fields:
    """A grant that begins about now."""
    start = now + chance.choice((-2 * DAY, -HOUR, 0, 0, HOUR))
    found: Fields = {
        "kind": "Grant",
        "id": name,
        "account": account,
        "type": "prepaid",
        "amount": chance.choice(("0.5", "3", "10", "40")),
        "effective_at": format_instant(start),
        "priority": chance.choice((50, 50, 10)),
    }
    if chance.random() < 0.6:
        life = chance.choice((HOUR, 5 * HOUR, 2 * DAY, 5 * DAY))
        found["expires_at"] = format_instant(start + life)
        found["rollover"] = chance.choice(_ROLLOVERS)
    if chance.random() < 0.3:
        found["type"] = "promotional"
    elif chance.random() < 0.5:
        found["cost"] = {"amount": "7", "currency": chance.choice(("USD", "EUR"))}
    if chance.random() < 0.2:
        found |= chance.choice(({"products": ["tokens"]}, {"tags": ["ai"]}))
    if chance.random() < 0.15:
        found["contract"] = "c1"
    if chance.random() < 0.15:
        found["funding"] = "pending"
    if chance.random() < 0.1:
        found["request"] = "wallet-1"
    return found


def command(chance: Random, account: str, name: str, now: int, sent: list[Fields]) -> Fields:
    """One of the commands, or a further contract or grant."""
    base: Fields = {"id": name, "account": account}
    which = f"g{chance.randint(0, 2)}"
    later = format_instant(now + chance.choice((-HOUR, 0, 5 * HOUR)))
    choices: list[Fields] = [
        grant(chance, account, name, now),
        grant(chance, account, which, now),
        contract(chance, account, chance.choice(("c1", "c2")), now),
        {"kind": "void_grant", "grant": which} | base,
        {"kind": "refund_grant", "grant": which} | base,
        {"kind": "adjust_grant", "grant": which, "amount": chance.choice(("2", "-1.5"))} | base,
        {"kind": "fund_grant", "grant": which} | base,
        {"kind": "purchase", "pack": "pack", "quantity": str(chance.randint(1, 2))} | base,
        {"kind": "settle_overage", "amount": chance.choice(("0.3", "2", "50"))} | base,
        {"kind": "set_seats", "contract": "c1", "seats": chance.randint(0, 3)} | base,
        {"kind": "top_up_failed", "request": "wallet-1"} | base,
        {
            "kind": "amend_contract",
            "contract": "c1",
            "effective_at": later,
            "changes": chance.choice(
                (
                    {"overrides": [_override(chance)]},
                    {"overage": {"mode": "block"}},
                    {"ends_at": format_instant(now + 3 * DAY)},
                    {"covers": {"products": ["tokens"]}},
                    {"recurring": None, "fees": None},
                )
            ),
        }
        | base,
        {
            "kind": "terminate_contract",
            "contract": "c1",
            "at": later,
            "policy": chance.choice(("expire", "refund", "to_account")),
        }
        | base,
        _backfill(chance, account, now) | base,
    ]
    if sent:
        event = chance.choice(sent)
        replay = {"kind": "replay", "source": event["source"], "event": event["id"]} | base
        choices += [replay, replay]
    return chance.choice(choices)


def _backfill(chance: Random, account: str, now: int) -> Fields:
    event: Fields = {
        "specversion": "1.0",
        "id": f"old-{chance.randint(1, 3)}",
        "source": "api",
        "type": chance.choice(EVENT_TYPES),
        "subject": account,
        "time": format_instant(now - chance.randint(0, 10) * DAY),
        "data": data(chance),
    }
    return {"kind": "backfill", "event": json.dumps(event)}
