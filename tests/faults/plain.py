"""Usage that is worked out by hand: a credit a token, accounts that can pay for all of it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from schemas.partition import partition_of
from schemas.times import DAY, format_instant
from tests.faults.proof import Expected

ISSUED: Final = 1_000_000


class Plain:
    """Accounts by name; `paid` is what each must come to. Times are microseconds."""

    def __init__(self, accounts: Sequence[str], now: int, issued: int = ISSUED) -> None:
        self.paid: Counter[str] = Counter(dict.fromkeys(accounts, 0))
        self._now, self._issued = now, issued

    def documents(self, alerts: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
        """One product, one rate card, and a grant for each account."""
        since = format_instant(self._now - 10 * DAY)
        meter = {"event_type": "llm.request", "aggregation": "sum", "value": "tokens"}
        rate = {"product": "tokens", "price": {"model": "unit", "unit_price": "1"}}
        version = {"version": 1, "effective_from": since, "rates": [rate]}
        grant = {"type": "prepaid", "amount": str(self._issued), "effective_at": since}
        made: list[dict[str, Any]] = [
            {"kind": "Product", "id": "tokens", "meter": meter},
            {"kind": "RateCard", "id": "standard", "versions": [version]},
        ]
        for account in self.paid:
            made.append(
                {"kind": "Account", "id": account, "rate_card": "standard", "alerts": list(alerts)}
            )
            made.append({"kind": "Grant", "id": f"of-{account}", "account": account, **grant})
        return made

    def event(self, account: str, name: str, tokens: int, time: int) -> bytes:
        """An event that is to be paid once, however often it is sent."""
        self.paid[account] += tokens
        return json.dumps(
            {
                "specversion": "1.0",
                "id": name,
                "source": "faults",
                "type": "llm.request",
                "subject": account,
                "time": format_instant(time),
                "data": {"tokens": tokens},
            }
        ).encode()

    def expected(self, **outcomes: int) -> Expected:
        """What all of it comes to."""
        return Expected({name: Decimal(paid) for name, paid in self.paid.items()}, outcomes)


def names(partitions: int, each: int) -> list[list[str]]:
    """`each` account names of every partition."""
    found: list[list[str]] = [[] for _ in range(partitions)]
    for name in _endless():
        if len(own := found[partition_of(name, partitions)]) < each:
            own.append(name)
        if all(len(own) == each for own in found):
            return found
    raise AssertionError


def _endless() -> Iterator[str]:
    number = 0
    while True:
        yield f"p{number}"
        number += 1
