"""What a soak sends: accounts that use very differently, and usage on schedule. From a seed; pure.

Accounts, contracts, grants and amendments are those of the crash test; a few accounts use most, as
in life. Of the usage 3 % are copies, a tenth is late, and one record in 500 is refused.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from schemas.times import DAY, SECOND, format_instant
from tests.latency import event_id
from tests.system.traffic import Traffic

SOURCE: Final = "soak"
WINDOW: Final = "PT5M"
"""Of deduplication, and the oldest usage: short, so that generations of keys go within a run."""
_LATEST: Final = 180 * SECOND
_LATE: Final = 0.1
_DUPLICATES: Final = 0.03
_BAD: Final = 0.002
_RECENT: Final = 20_000
_PARETO: Final = 1.16
"""The shape at which a fifth of the accounts makes four fifths of the usage."""
_MOST_TOKENS: Final = 99
_TEAMS: Final = ("red", "green", "blue")
_TOP_UPS: Final = 2
"""A second."""


@dataclass
class Sent:
    """What was sent, and what it must come to."""

    events: int = 0
    repeats: int = 0
    bad: int = 0
    documents: int = 0
    tokens: Counter[str] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        """Records that end in lines."""
        return self.events - self.repeats - self.bad


class Record(NamedTuple):
    """An event, and the account it is keyed by."""

    account: str
    value: bytes


class Load:
    """Usage at `rate` a second from `start` on, microseconds; `sent` counts what was drawn.

    Its documents are of `now`.
    """

    def __init__(self, seed: int, now: int, rate: int, seconds: int, accounts: int) -> None:
        self.sent = Sent()
        self.start = now
        self._random = random.Random(seed)
        self._rate, self._accounts = rate, accounts
        self._traffic = Traffic(rate * seconds, seed, now, accounts=accounts)
        self._recent: list[Record] = []

    def documents(self) -> list[dict[str, Any]]:
        """What must be there before the usage."""
        return self._traffic.documents()

    def due(self, now: int) -> int:
        """How many events are to be sent by `now`."""
        return max(0, now - self.start) * self._rate // SECOND

    def record(self) -> Record:
        """The next event in the order of the schedule."""
        number, rng = self.sent.events, self._random
        self.sent.events += 1
        chance = rng.random()
        if self._recent and chance < _DUPLICATES:
            self.sent.repeats += 1
            return rng.choice(self._recent)
        if chance > 1 - _BAD:
            self.sent.bad += 1
            return self._bad(number)
        record = self._event(number)
        if len(self._recent) < _RECENT:
            self._recent.append(record)
        else:
            self._recent[number % _RECENT] = record
        return record

    def document(self) -> dict[str, Any] | None:
        """The next top-up or amendment, if it is time for one."""
        number = self.sent.documents
        if self.sent.events * _TOP_UPS < number * self._rate:
            return None
        self.sent.documents += 1
        contract = number // 10 * 2 + 1  # each odd account has one; it is amended once
        if number % 10 == 9 and contract < self._accounts:
            return self._traffic.amendment(contract)
        return self._traffic.top_up(number * self._accounts + self._account())

    def _account(self) -> int:
        """Its number: the low ones use most."""
        drawn = (self._random.paretovariate(_PARETO) - 1) * self._accounts / 50
        return int(drawn) % self._accounts

    def _event(self, number: int) -> Record:
        rng = self._random
        scheduled = self._scheduled(number)
        account, tokens = f"a{self._account()}", rng.randint(1, _MOST_TOKENS)
        self.sent.tokens[account] += tokens
        late = rng.randrange(_LATEST) if rng.random() < _LATE else 0
        return Record(account, _usage(scheduled, number, account, scheduled - late, tokens))

    def _bad(self, number: int) -> Record:
        """Too old, no JSON, or nothing that is known: all are refused."""
        scheduled, account = self._scheduled(number), f"a{self._account()}"
        too_old = _usage(scheduled, number, account, scheduled - 30 * DAY, 1)
        return Record(account, (too_old, too_old[:-7], b'{"specversion":"1.0"}')[number % 3])

    def _scheduled(self, number: int) -> int:
        return self.start + number * SECOND // self._rate


def _usage(scheduled: int, number: int, account: str, time: int, tokens: int) -> bytes:
    team = _TEAMS[number % len(_TEAMS)]
    return (
        f'{{"specversion":"1.0","id":"{event_id(scheduled, number)}","source":"{SOURCE}",'
        f'"type":"llm.request","subject":"{account}","time":"{format_instant(time)}",'
        f'"data":{{"tokens":{tokens},"team":"{team}"}}}}'
    ).encode()
