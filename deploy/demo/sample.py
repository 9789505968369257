"""The demo's accounts and its day of usage, with duplicates, late and malformed events.

Pure: the same seed and clock give the same records. What goes wrong on purpose is counted here, so
that the demo can say whether the pipeline found exactly that.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.times import DAY, SECOND, format_instant

ACCOUNTS: Final = ("acme", "globex", "initech")
CONTRACT: Final = ("acme", "acme-llm")
_WEIGHTS: Final = (6, 3, 1)
_LATE: Final = 36 * 3600 * SECOND
_TOO_OLD: Final = 5 * DAY
_MALFORMED: Final = (
    (b'{"specversion": "1.0", "id": ', "malformed_json"),
    (b"\xff\xfe not text", "not_utf8"),
    (b'{"specversion": "1.0"}', "invalid_envelope"),
    (b"[" * 10_000, "too_deep"),
    (b'{"specversion": "1.0", "id": NaN}', "malformed_json"),
)


@dataclass(frozen=True, slots=True)
class Record:
    """One raw record: its key and its bytes."""

    account: str
    value: bytes


@dataclass
class Day:
    """A generated day; `expected` counts the outcomes that its faults must have."""

    events: int
    now: int
    seed: int = 1
    expected: Counter[str] = field(default_factory=Counter)

    def records(self) -> Iterator[Record]:
        """Every record of the day, in the order of sending."""
        rng = random.Random(self.seed)  # noqa: S311 - a sample, not a secret
        recent: list[Record] = []
        for number in range(self.events):
            record = self._event(rng, number)
            yield record
            recent = [*recent[-99:], record]
            chance = rng.random()
            if chance < 0.03:
                self.expected["duplicate"] += 1
                yield rng.choice(recent)
            elif chance < 0.031:
                yield self._refused(rng, number)

    def _event(self, rng: random.Random, number: int) -> Record:
        account = rng.choices(ACCOUNTS, _WEIGHTS)[0]
        time = self.now - DAY + number * DAY // self.events
        if rng.random() < 0.01:
            time -= _LATE
        if rng.random() < 0.7:
            data: dict[str, Any] = {
                "model": rng.choice(("large", "small")),
                "region": rng.choice(("eu", "us")),
                "input_tokens": rng.randint(50, 4_000),
                "output_tokens": rng.randint(1, 1_000),
            }
            return _record(account, f"e{number}", "llm.request", time, data)
        return _record(account, f"e{number}", "api.call", time, {"path": "/v1/search"})

    def _refused(self, rng: random.Random, number: int) -> Record:
        kind = rng.randrange(len(_MALFORMED) + 4)
        account = rng.choice(ACCOUNTS)
        if kind < len(_MALFORMED):
            value, reason = _MALFORMED[kind]
            self.expected[reason] += 1
            return Record(account, value)
        name, time = f"x{number}", self.now - DAY // 2
        tokens: dict[str, Any] = {"input_tokens": 5, "output_tokens": 5}
        match kind - len(_MALFORMED):
            case 0:
                self.expected["too_old"] += 1
                return _record(account, name, "llm.request", time - _TOO_OLD, tokens)
            case 1:
                self.expected["unknown_account"] += 1
                return _record("nobody", name, "llm.request", time, tokens)
            case 2:
                self.expected["no_product"] += 1
                return _record(account, name, "page.view", time, {})
            case _:
                self.expected["negative_quantity"] += 1
                return _record(account, name, "llm.request", time, {**tokens, "input_tokens": -1})


def documents(now: int) -> list[dict[str, Any]]:
    """The demo's accounts and grants: a large one, one with a promotion, one that runs dry.

    The large one has a contract: its LLM tokens cost less by it, it gets credits each day, of which
    half roll over, and it is amended while it runs.
    """
    month_ago, month_ahead = format_instant(now - 30 * DAY), format_instant(now + 30 * DAY)
    paid: dict[str, Any] = {"effective_at": month_ago, "type": "prepaid"}
    usd = {"currency": "USD"}
    grants: list[dict[str, Any]] = [
        {"id": "acme-2026", "account": "acme", "amount": "500000", **paid,
         "cost": {"amount": "4000.00", **usd}, "expires_at": month_ahead},
        {"id": "globex-promo", "account": "globex", "amount": "20000", "type": "promotional",
         "effective_at": month_ago, "expires_at": format_instant(now - DAY // 4), "priority": 10},
        {"id": "globex-tokens", "account": "globex", "amount": "60000", **paid,
         "cost": {"amount": "600.00", **usd}, "products": ["input-tokens", "output-tokens"]},
        {"id": "globex-any", "account": "globex", "amount": "90000", **paid,
         "cost": {"amount": "900.00", **usd}},
        {"id": "initech-trial", "account": "initech", "amount": "5000", "type": "promotional",
         "effective_at": month_ago, "expires_at": month_ahead},
    ]  # fmt: skip
    accounts = [
        {"kind": "Account", "id": name, "rate_card": "standard", "time_zone": zone}
        for name, zone in zip(ACCOUNTS, ("America/New_York", "Europe/Berlin", "UTC"), strict=True)
    ]
    return [
        *accounts,
        *({"kind": "Grant", **grant} for grant in grants),
        *_contract(now - 3 * DAY, now),
    ]


def _contract(starts: int, now: int) -> list[dict[str, Any]]:
    """A contract of the large account, and the amendment of yesterday that halves one price."""
    account, name = CONTRACT
    override = {"tag": "llm", "multiplier": "0.8"}
    contract: dict[str, Any] = {
        "kind": "Contract",
        "id": name,
        "account": account,
        "starts_at": format_instant(starts),
        "ends_at": format_instant(starts + 365 * DAY),
        "rate_card": "standard",
        "covers": {"tags": ["llm"]},
        "overrides": [override],
        "recurring": [
            {"id": "daily", "type": "promotional", "amount": "2000", "cadence": "daily",
             "expiry": "end_of_period",
             "rollover": {"mode": "percent", "percent": "50", "max_times": 1, "expiry": "P1D"}},
        ],
    }  # fmt: skip
    small = {"product": "input-tokens", "match": {"model": "small"}, "multiplier": "0.5"}
    amendment: dict[str, Any] = {
        "kind": "amend_contract",
        "id": f"{name}-2",
        "account": account,
        "contract": name,
        "effective_at": format_instant(now - DAY // 2),
        "changes": {"overrides": [override, small]},
        "reason": "small models at half price",
        "by": "sales",
    }
    return [contract, amendment]


def _record(account: str, name: str, kind: str, time: int, data: dict[str, Any]) -> Record:
    event = {
        "specversion": "1.0",
        "id": name,
        "source": "demo",
        "type": kind,
        "subject": account,
        "time": format_instant(time),
        "data": data,
    }
    return Record(account, json.dumps(event).encode())
