"""The traffic of the crash test: what is sent, and what it must come to. Made from a seed."""

import random
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from schemas.times import DAY, SECOND, format_instant

ACCOUNTS: Final = 60
DUPLICATES: Final = 0.05
_MOST_TOKENS: Final = 99
_RECENT: Final = 5_000
_LATE: Final = 0.1
_LATEST: Final = DAY * 3 // 4
_TEAMS: Final = ("red", "green", "blue")
_SAMPLED: Final = 1_000
_RULES: Final = [
    {"id": "spent", "measure": "consumed_percent", "thresholds": ["25", "50", "75", "90"]},
    {"id": "left", "measure": "remaining_amount", "thresholds": ["1000", "20000"]},
]


_ROLLOVER: Final = {"mode": "percent", "percent": "50", "expiry": "P1D"}
_TIERS: Final = [
    {"up_to": "20000", "unit_price": "1"},
    {"up_to": "45000", "unit_price": "0.5", "flat": "100"},
    {"unit_price": "0.125"},
]


def cost_of(account: str, tokens: int) -> Decimal:
    """What `tokens` cost an account: list price, half of it, or tiers."""
    match int(account[1:]) % 4:
        case 1:
            return Decimal(tokens) / 2
        case 3:
            last, next_to = max(tokens - 45_000, 0), min(max(tokens - 20_000, 0), 25_000)
            flat = 100 if next_to else 0
            return min(tokens, 20_000) + Decimal(next_to) / 2 + flat + Decimal(last) / 8
        case _:
            return Decimal(tokens)


class Traffic:
    """`count` records, each kept in the sums when it is not a repeat. Times are microseconds.

    Of four accounts two have no contract, one has a contract with a multiplier, and one has tiers,
    limits and a burn order of its own. A tenth of the usage is late. `duplicates` is the share of
    records that repeat another, `hot` the share of events that are of one account, `a0`.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        now: int,
        duplicates: float = DUPLICATES,
        hot: float = 0,
        accounts: int = ACCOUNTS,
    ) -> None:
        self.count = count
        self.tokens: Counter[str] = Counter()
        self.repeats = 0
        self.voided = 0
        self._samples: list[tuple[str, int, int]] = []
        self._now, self._duplicates, self._hot = now, duplicates, hot
        self._random, self._accounts = random.Random(seed), accounts
        self._share = count * (1 + _MOST_TOKENS) // 2 // accounts

    def documents(self) -> list[dict[str, Any]]:
        """Accounts hold less than they will spend, most of it not for long."""
        since = format_instant(self._now - DAY)
        meter = {"event_type": "llm.request", "aggregation": "sum", "value": "tokens"}
        rate = {"product": "tokens", "price": {"model": "unit", "unit_price": "1"}}
        version = {"version": 1, "effective_from": since, "rates": [rate]}
        made: list[dict[str, Any]] = [
            {"kind": "Product", "id": "tokens", "meter": meter},
            {"kind": "RateCard", "id": "standard", "versions": [version]},
        ]
        for number in range(self._accounts):
            ends = self._now + self._random.randint(10, 40) * SECOND
            made.append(
                {
                    "kind": "Account",
                    "id": f"a{number}",
                    "rate_card": "standard",
                    "time_zone": _zone(self._now),
                    "alerts": _RULES,
                    "recurring": [_recurring("daily")],
                }
            )
            if number % 2:
                made.append(self._contract(number))
            made.append(self._grant(number, "first", self._share // 20))
            made.append(
                {
                    **self._grant(number, "promotion", self._share // 3, "promotional"),
                    "expires_at": format_instant(ends),
                    "rollover": _ROLLOVER,
                }
            )
        return made

    def top_up(self, number: int) -> dict[str, Any]:
        """A further grant of a fifth of what an account will spend."""
        owner, which = number % self._accounts, number // self._accounts
        return self._grant(owner, f"top-up-{which}", self._share // 5)

    def amendment(self, number: int) -> dict[str, Any]:
        """A contract's limits from yesterday on: prices are left as they are."""
        team = {"id": "team", "by": "team", "amount": "900", "period": "daily"}
        return {
            "kind": "amend_contract",
            "id": f"amend-{number}",
            "account": f"a{number}",
            "contract": "main",
            "effective_at": format_instant(self._now - DAY),
            "changes": {"limits": [team]},
        }

    def voids(self, count: int) -> list[dict[str, Any]]:
        """Of the usage that was sent first and was not voided yet."""
        return [
            {
                "kind": "void_usage",
                "id": f"void-{number}",
                "account": account,
                "source": "crash",
                "event": f"e{number}",
            }
            for account, number, _ in self._samples[self.voided : self.voided + count]
        ]

    def have_voided(self, count: int) -> None:
        """The first `count` voids are on the log: what they are of is in no sum."""
        for account, _, tokens in self._samples[self.voided : self.voided + count]:
            self.tokens[account] -= tokens
        self.voided += count

    def records(self) -> Iterator[tuple[str, bytes]]:
        """(account, event): a share of them repeats one of the last."""
        recent: list[tuple[str, bytes]] = []
        rng = self._random
        for number in range(self.count):
            if recent and rng.random() < self._duplicates:
                self.repeats += 1
                yield recent[rng.randrange(len(recent))]
                continue
            owner = 0 if self._hot and rng.random() < self._hot else rng.randrange(self._accounts)
            account, tokens = f"a{owner}", rng.randint(1, _MOST_TOKENS)
            self.tokens[account] += tokens
            if number % _SAMPLED == 0:
                self._samples.append((account, number, tokens))
            record = account, self._event(account, number, tokens)
            if len(recent) < _RECENT:
                recent.append(record)
            else:
                recent[number % _RECENT] = record
            yield record

    def _event(self, account: str, number: int, tokens: int) -> bytes:
        late = self._random.randrange(_LATEST) if self._random.random() < _LATE else 0
        time, team = format_instant(self._now + number - late), _TEAMS[number % len(_TEAMS)]
        return (
            f'{{"specversion":"1.0","id":"e{number}","source":"crash","type":"llm.request",'
            f'"subject":"{account}","time":"{time}",'
            f'"data":{{"tokens":{tokens},"team":"{team}"}}}}'
        ).encode()

    def _contract(self, number: int) -> dict[str, Any]:
        """One billing period holds all of it, so that a sum has one price."""
        anchor = format_instant(self._now - 30 * DAY)[:10]
        made: dict[str, Any] = {
            "kind": "Contract",
            "id": "main",
            "account": f"a{number}",
            "rate_card": "standard",
            "starts_at": format_instant(self._now - 3 * DAY),
            "billing": {"cycle": "annual", "anchor": anchor},
            "recurring": [_recurring("monthly")],
            "alerts": _RULES,
            "overrides": [{"product": "tokens", "multiplier": "0.5"}],
        }
        if number % 4 == 3:
            price = {"model": "graduated", "tiers": _TIERS}
            made["overrides"] = [{"product": "tokens", "price": price}]
            made["limits"] = [
                {"id": "all", "by": "account", "amount": "5000", "period": "monthly"},
                {"id": "team", "by": "team", "amount": "2000", "period": "daily"},
            ]
            made["burn_policy"] = ["wallet_first", "expires_at"]
        return made

    def _grant(self, number: int, name: str, amount: int, kind: str = "prepaid") -> dict[str, Any]:
        return {
            "kind": "Grant",
            "id": f"{name}-{number}",
            "account": f"a{number}",
            "type": kind,
            "amount": str(amount),
            "effective_at": format_instant(self._now - DAY),
        }


def _zone(now: int) -> str:
    """One whose midnight is hours away: the next day's grant could pay for no event of today's."""
    return "Etc/GMT+12" if now % DAY >= DAY // 2 else "UTC"


def _recurring(cadence: str) -> dict[str, Any]:
    return {
        "id": f"each-{cadence}",
        "type": "promotional",
        "amount": "50",
        "cadence": cadence,
        "expiry": "end_of_period",
        "rollover": _ROLLOVER,
    }
