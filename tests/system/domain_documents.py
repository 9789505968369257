"""A business that uses the whole domain: its catalog, accounts, contracts and grants.

Made from a seed and a clock. Much falls due within seconds of that clock, so that it happens while
usage comes in.
"""

import random
from typing import Any, Final

from schemas.times import DAY, SECOND, format_instant

ACCOUNTS: Final = 16
HOUR: Final = 3_600 * SECOND
Document = dict[str, Any]
_LLM: Final = {"tags": ["llm"]}
_ZONES: Final = ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
_OVERAGES: Final[tuple[Document, ...]] = (
    {"mode": "allow"},
    {"mode": "block", "settle": "next_grant"},
    {"mode": "cap", "cap": "3"},
    {"mode": "cap", "cap": {"percent": "5"}, "multiplier": "1.5"},
    {"mode": "grace", "grace": "PT3S"},
    {"mode": "allow", "multiplier": "0.333333333", "settle": "next_grant"},
)
_BURN_ORDERS: Final = (
    None,
    ["promotional_first", "expires_at"],
    ["cost_basis", "issued_at"],
    ["wallet_first", "rolled_over_first", "specificity"],
    ["-cost_basis", "prepaid_first"],
)


def catalog(now: int) -> list[Document]:
    """Every aggregation and every price model; `exports` has no price yet."""
    old, recent = format_instant(now - 90 * DAY), format_instant(now - 30 * HOUR)
    return [
        _product("input", "llm.request", "sum", "tokens.input", _LLM, dimensions=["model", "eu"]),
        _product("output", "llm.request", "sum", "tokens.output", _LLM, dimensions=["model"]),
        _product("calls", "api.call", "count"),
        _product("gold-calls", "api.call", "count", filter={"tier": "gold"}),
        _product("storage", "storage.sample", "max", "gigabytes"),
        _product("users", "session.start", "unique", "user", {"tags": ["people"]}),
        _product("exports", "export.run", "count"),
        {
            "kind": "RateCard",
            "id": "standard",
            "versions": [
                {"version": 1, "effective_from": old, "rates": rates("0.011")},
                {"version": 2, "effective_from": recent, "rates": rates("0.013")},
            ],
        },
        {
            "kind": "RateCard",
            "id": "enterprise",
            "versions": [{"version": 1, "effective_from": old, "rates": enterprise_rates()}],
        },
        {
            "kind": "Pack",
            "id": "hundred",
            "amount": "100",
            "price": {"amount": "9.99", "currency": "USD"},
            "breaks": [{"from_quantity": "3", "price": {"amount": "8.33", "currency": "USD"}}],
            "expiry": "P30D",
            "rollover": {"mode": "full"},
        },
    ]


def rates(large: str) -> list[Document]:
    """The list prices; a token of the large model costs `large`."""
    return [
        _rate("input", {"model": "unit", "unit_price": large}, model="large"),
        _rate("input", {"model": "unit", "unit_price": "0.02"}, model="large", eu="true"),
        _rate("input", {"model": "unit", "unit_price": "1", "per": "300"}),
        _rate("output", {"model": "package", "size": "1000", "price": "7"}),
        _rate("calls", {"model": "flat", "price": "0.05"}),
        _rate("gold-calls", {"model": "package", "size": "10", "price": "1"}),
        _rate("storage", {"model": "unit", "unit_price": "0.7"}),
        _rate("users", {"model": "unit", "unit_price": "2"}),
    ]


def enterprise_rates() -> list[Document]:
    """Tiers in every model that has them."""
    tiers = [
        {"up_to": "2000", "unit_price": "0.009", "flat": "1"},
        {"up_to": "6000", "unit_price": "0.004"},
        {"unit_price": "0.001", "flat": "0.5"},
    ]
    people = [{"up_to": "3", "unit_price": "3"}, {"unit_price": "1.5", "flat": "0.25"}]
    return [
        _rate("input", {"model": "graduated", "tiers": tiers}),
        _rate("output", {"model": "volume", "tiers": tiers}, model="large"),
        _rate("output", {"model": "unit", "unit_price": "0.003"}),
        _rate("calls", {"model": "graduated", "tiers": people}),
        _rate("gold-calls", {"model": "flat", "price": "0"}),
        _rate("storage", {"model": "graduated", "tiers": people}),
        _rate("users", {"model": "volume", "tiers": people}),
    ]


def name_of(number: int) -> str:
    """An account's id."""
    return f"a{number}"


def is_poor(number: int) -> bool:
    """Whether the account soon lives on overage."""
    return number % 4 == 2


def account(number: int, late_grace: str = "PT48H") -> Document:
    """An account whose terms go by its number."""
    made: Document = {
        "kind": "Account",
        "id": name_of(number),
        "rate_card": "standard" if number % 4 else "enterprise",
        "time_zone": _ZONES[number % len(_ZONES)],
        "overage": _OVERAGES[number // 2 % len(_OVERAGES)],
        "late_grace": late_grace,
        "limits": [
            {"id": "tokens", "by": "account", "products": ["input"], "amount": "15",
             "period": "daily"},
            {"id": "team", "by": "team.name", "amount": "25", "period": "weekly"},
        ],
        "recurring": [
            {"id": "free", "type": "promotional", "amount": "5", "cadence": "daily",
             "expiry": "end_of_period"},
            {"id": "monthly", "type": "prepaid", "amount": "30", "cadence": "monthly",
             "anchor": "2026-01-31"},
        ],
        "fees": [{"id": "platform", "product": "calls", "amount": "3", "cadence": "weekly"}],
        "top_up": {"threshold": "20", "target": "60", "cooldown": "PT1S", "timeout": "PT4S",
                   "max_per_period": 4},
        "alerts": _alerts(number),
    }  # fmt: skip
    if (order := _BURN_ORDERS[number % len(_BURN_ORDERS)]) is not None:
        made["burn_policy"] = order
    if is_poor(number):
        del made["alerts"], made["top_up"], made["limits"], made["recurring"]
    return made


def contracts(number: int, now: int) -> list[Document]:
    """Of two accounts in three: one that ends within seconds, the one that renews it, a special."""
    if number % 3 == 0:
        return []
    owner = name_of(number)
    ends = format_instant(now + (6 + number % 5) * SECOND)
    shared: Document = {"kind": "Contract", "account": owner, "rate_card": "enterprise"}
    old: Document = {
        **shared,
        "id": "old",
        "starts_at": format_instant(now - 4 * DAY),
        "ends_at": ends,
        "covers": {"tags": ["llm"]},
        "billing": {"cycle": "monthly", "anchor": "2026-01-31"},
        "overrides": [
            {"tag": "llm", "multiplier": "0.9"},
            {"product": "input", "match": {"model": "small"},
             "price": {"model": "unit", "unit_price": "0.002"}},
        ],
        "grants": [{"id": "old-base", "type": "prepaid", "amount": "70",
                    "cost": {"amount": "50.01", "currency": "USD"},
                    "rollover": {"mode": "percent", "percent": "50", "max_times": 2}}],
        "recurring": [{"id": "old-daily", "type": "promotional", "amount": "3", "cadence": "daily",
                       "expiry": "end_of_period", "per_seat": True,
                       "rollover": {"mode": "full", "cap": "7", "expiry": "P2D"}}],
        "fees": [{"id": "seat", "product": "users", "amount": "0.4", "cadence": "daily",
                  "per_seat": True}],
        "seats": 2,
        "alerts": [{"id": "old-left", "measure": "remaining_percent", "thresholds": ["60", "30"]}],
        "overage": _OVERAGES[(number + 2) % len(_OVERAGES)],
    }  # fmt: skip
    new: Document = {
        **shared,
        "id": "new",
        "starts_at": ends,
        "ends_at": format_instant(now + 300 * DAY),
        "renews": "old",
        "covers": {"tags": ["llm"]},
        "grants": [{"id": "new-base", "type": "prepaid", "amount": "40"}],
        "limits": [{"id": "new-team", "by": "team.name", "amount": "9", "period": "monthly"}],
        "top_up": {"threshold": "15", "target": "35", "cooldown": "PT2S", "max_failures": 1},
        "burn_policy": ["rolled_over_first", "expires_at"],
    }
    special: Document = {
        **shared,
        "id": "special",
        "starts_at": format_instant(now - 2 * DAY),
        "rate_card": {"id": "standard", "version": 1},
        "covers": {"products": ["calls", "storage"]},
        "overrides": [{"product": "calls", "price": {"model": "flat", "price": "0.04"},
                       "effective_to": format_instant(now - DAY)}],
        "overage": {"mode": "cap", "cap": "4"},
    }  # fmt: skip
    return [old, new, special][: 1 + number % 3]


def grants(number: int, now: int, rng: random.Random) -> list[Document]:
    """The wallet's: paid for, restricted, scheduled, pending, soon to expire, already over."""
    soon = now + rng.randint(4, 12) * SECOND
    paid: Document = {"type": "prepaid", "cost": {"amount": "61.00", "currency": "EUR"}}
    roll = {"mode": "percent", "percent": "33.3", "of": "issued", "threshold": "1"}
    made: list[Document] = [
        {"id": "base", "amount": "60", **paid},
        {"id": "llm-only", "amount": "15.5", "type": "promotional", "tags": ["llm"],
         "priority": 10},
        {"id": "calls-only", "amount": "4", "type": "promotional", "products": ["calls"]},
        {"id": "later", "amount": "20", **paid, "effective_at": format_instant(soon)},
        {"id": "pending", "amount": "33", **paid, "funding": "pending",
         "effective_at": format_instant(now - DAY)},
        {"id": "short", "amount": "25", "type": "prepaid", "priority": 20,
         "expires_at": format_instant(soon), "rollover": roll},
        {"id": "over", "amount": "8", "type": "promotional",
         "expires_at": format_instant(now - HOUR)},
    ]  # fmt: skip
    if is_poor(number):
        made = [{**made[0], "amount": "6"}, *made[-2:]]
    since = {"effective_at": format_instant(now - 20 * DAY)}
    owner = {"kind": "Grant", "account": name_of(number)}
    return [{**owner, **since, **one} for one in made]


def _alerts(number: int) -> list[Document]:
    return [
        {"id": "spent", "measure": "consumed_percent", "thresholds": ["25", "50", "90"]},
        {"id": "left", "measure": "remaining_amount", "thresholds": ["100", "40", "5"],
         "at_most_daily": number % 2 == 1},
        {"id": "llm", "measure": "remaining_percent", "thresholds": ["50"], "products": ["input"]},
        {"id": "days", "measure": "days_left", "thresholds": ["30", "1"]},
        {"id": "expiring", "measure": "grant_expiring", "thresholds": ["30", "1"]},
    ]  # fmt: skip


def _product(
    name: str,
    event_type: str,
    aggregation: str,
    value: str | None = None,
    fields: Document | None = None,
    **meter: Any,
) -> Document:
    meter |= {"event_type": event_type, "aggregation": aggregation}
    if value is not None:
        meter["value"] = value
    return {"kind": "Product", "id": name, "meter": meter, **(fields or {})}


def _rate(product: str, price: Document, **match: str) -> Document:
    return {"product": product, "match": match, "price": price}
