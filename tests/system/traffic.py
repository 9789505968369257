"""The traffic of the crash test: what is sent, and what it must come to. Made from a seed."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from schemas.times import DAY, SECOND, format_instant

ACCOUNTS: Final = 60
DUPLICATES: Final = 0.05
_MOST_TOKENS: Final = 99
_RECENT: Final = 5_000
_RULES: Final = [
    {"id": "spent", "measure": "consumed_percent", "thresholds": ["25", "50", "75", "90"]},
    {"id": "left", "measure": "remaining_amount", "thresholds": ["1000", "20000"]},
]


class Traffic:
    """`count` records, each kept in the sums when it is not a repeat. Times are microseconds."""

    def __init__(self, count: int, seed: int, now: int) -> None:
        self.tokens: Counter[str] = Counter()
        self.repeats = 0
        self._count, self._now = count, now
        self._random = random.Random(seed)
        self._share = count * (1 + _MOST_TOKENS) // 2 // ACCOUNTS

    def documents(self) -> list[dict[str, Any]]:
        """One credit a token; accounts hold less than they will spend, most of it not for long."""
        since = format_instant(self._now - DAY)
        meter = {"event_type": "llm.request", "aggregation": "sum", "value": "tokens"}
        rate = {"product": "tokens", "price": {"model": "unit", "unit_price": "1"}}
        version = {"version": 1, "effective_from": since, "rates": [rate]}
        made: list[dict[str, Any]] = [
            {"kind": "Product", "id": "tokens", "meter": meter},
            {"kind": "RateCard", "id": "standard", "versions": [version]},
        ]
        for number in range(ACCOUNTS):
            ends = self._now + self._random.randint(10, 40) * SECOND
            made.append(
                {
                    "kind": "Account",
                    "id": f"a{number}",
                    "rate_card": "standard",
                    "alerts": _RULES,
                }
            )
            made.append(self._grant(number, "first", self._share // 20))
            made.append(
                {
                    **self._grant(number, "promotion", self._share // 3, "promotional"),
                    "expires_at": format_instant(ends),
                }
            )
        return made

    def top_up(self, number: int) -> dict[str, Any]:
        """A further grant of a fifth of what an account will spend."""
        return self._grant(number % ACCOUNTS, f"top-up-{number // ACCOUNTS}", self._share // 5)

    def records(self) -> Iterator[tuple[str, bytes]]:
        """(account, event): one in twenty repeats one of the last."""
        recent: list[tuple[str, bytes]] = []
        rng = self._random
        for number in range(self._count):
            if recent and rng.random() < DUPLICATES:
                self.repeats += 1
                yield recent[rng.randrange(len(recent))]
                continue
            account, tokens = f"a{rng.randrange(ACCOUNTS)}", rng.randint(1, _MOST_TOKENS)
            self.tokens[account] += tokens
            record = account, self._event(account, number, tokens)
            if len(recent) < _RECENT:
                recent.append(record)
            else:
                recent[number % _RECENT] = record
            yield record

    def _event(self, account: str, number: int, tokens: int) -> bytes:
        time = format_instant(self._now + number)
        return (
            f'{{"specversion":"1.0","id":"e{number}","source":"crash","type":"llm.request",'
            f'"subject":"{account}","time":"{time}","data":{{"tokens":{tokens}}}}}'
        ).encode()

    def _grant(self, number: int, name: str, amount: int, kind: str = "prepaid") -> dict[str, Any]:
        return {
            "kind": "Grant",
            "id": f"{name}-{number}",
            "account": f"a{number}",
            "type": kind,
            "amount": str(amount),
            "effective_at": format_instant(self._now - DAY),
        }
