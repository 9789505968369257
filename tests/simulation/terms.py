"""Accounts, contracts and grants of the traffic, with terms by chance."""

from random import Random
from typing import Any, Final

from schemas.times import DAY, format_instant
from tests.simulation.clock import HOUR

ACCOUNTS: Final = ("acme", "beta", "corp", "dyne")
REQUESTS: Final = ("wallet-1", "wallet-1", "wallet-2", "c1-1")
Fields = dict[str, Any]
_TIERS: Final = [
    {"up_to": "100", "unit_price": "0.03", "flat": "1"},
    {"up_to": "300", "unit_price": "0.0211"},
    {"unit_price": "0.01", "flat": "0.5"},
]
PRICES: Final[tuple[Fields, ...]] = (
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


_RECURRING: Final[tuple[Fields, ...]] = (
    {},
    {},
    {"priority": 20, "rollover": {"mode": "full", "max_times": 1}},
    {"products": ["tokens"], "rollover": {"mode": "percent", "percent": "50", "expiry": "P2D"}},
    {"anchor": "2026-01-31", "expiry": "P10D"},
)
_FEES: Final[tuple[Fields, ...]] = ({}, {"cadence": "weekly", "product": "tokens", "amount": "1.3"})
_TOP_UPS: Final[tuple[Fields, ...]] = (
    {"threshold": "1", "target": "5", "max_per_period": 2, "timeout": "PT5H"},
    {"threshold": "2.5", "target": "8", "cooldown": "PT3H", "timeout": "PT6H", "max_failures": 2},
    {"threshold": "4", "target": "4.5"},
)
LIMITS: Final[tuple[Fields, ...]] = (
    {"id": "w", "by": "account", "amount": "5", "period": "weekly", "products": ["tokens"]},
    {"id": "m", "by": "team", "amount": "2", "period": "monthly"},
)


def account(chance: Random, name: str, now: int) -> Fields:
    """The account as it is from now on; its time zone never changes."""
    found: Fields = {"kind": "Account", "id": name, "rate_card": "standard"}
    found["time_zone"] = ("UTC", "America/New_York", "Asia/Kolkata")[ACCOUNTS.index(name) % 3]
    if chance.random() < 0.05:
        del found["rate_card"]
    if (burn := chance.choice(_BURNS)) is not None:
        found["burn_policy"] = burn
    found |= _terms(chance, f"{name}-{now // HOUR}")
    if chance.random() < 0.4:
        found["alerts"] = [_rule(chance, "a"), _rule(chance, "b")]
    if chance.random() < 0.4:
        found["late_grace"] = chance.choice(("PT1H", "PT6H"))
    return found


def beside(chance: Random) -> Random:
    """Chance of its own for what varies within terms: `chance` stays as it is.

    So whether a world has such terms does not depend on which they are.
    """
    twin = Random()
    twin.setstate(chance.getstate())
    return Random(twin.getrandbits(64))


def _terms(chance: Random, name: str) -> Fields:
    found: Fields = {}
    vary = beside(chance)
    if chance.random() < 0.5:
        found["overage"] = chance.choice(_OVERAGES)
    if chance.random() < 0.25:
        found["recurring"] = [
            {
                "id": f"r-{name}",
                "type": chance.choice(("promotional", "prepaid")),
                "amount": vary.choice(("2", "0.6")),
                "cadence": chance.choice(("daily", "weekly", "monthly")),
                "expiry": chance.choice(("end_of_period", "PT30H")),
            }
            | vary.choice(_RECURRING)
        ]
    if chance.random() < 0.15:
        fee = {"id": f"f-{name}", "product": "calls", "amount": "0.5", "cadence": "daily"}
        found["fees"] = [fee | vary.choice(_FEES)]
    if chance.random() < 0.15 or vary.random() < 0.15:
        found["top_up"] = vary.choice(_TOP_UPS)
    if chance.random() < 0.2:
        by = chance.choice(("account", "team"))
        found["limits"] = [{"id": "l", "by": by, "amount": "3", "period": "daily"}]
    if vary.random() < 0.15:
        found["limits"] = [*found.get("limits", ()), vary.choice(LIMITS)]
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
    elif beside(chance).random() < 0.15:
        rule["products"] = ["tokens"]
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
        found["overrides"] = [override(chance) for _ in range(chance.randint(1, 2))]
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
    if chance.random() < 0.5:
        found["alerts"] = [_rule(chance, "k")]
    found |= _terms(chance, f"{account}-{name}")
    for rule in (*found.get("recurring", ()), *found.get("fees", ())):
        rule["per_seat"] = chance.random() < 0.5
    return found


def override(chance: Random) -> Fields:
    """Another price for some product."""
    found: Fields = chance.choice(({"product": "tokens"}, {"tag": "ai"}, {"product": "calls"}))
    if chance.random() < 0.4:
        found = found | {"match": {"model": "large"}}
    if chance.random() < 0.5:
        return found | {"multiplier": chance.choice(("0.9", "0.333333333", "0"))}
    return found | {"price": chance.choice(PRICES)}


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
        found["request"] = beside(chance).choice(REQUESTS)
    return found
