"""What happens to that business: usage of every kind, and rounds of commands. Made from a seed."""

import json
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from schemas.times import DAY, SECOND, format_instant
from tests.system.domain_documents import (
    ACCOUNTS,
    HOUR,
    Document,
    account,
    catalog,
    contracts,
    grants,
    name_of,
    rates,
)

_TYPES: Final = {
    "llm.request": 50,
    "api.call": 20,
    "storage.sample": 10,
    "session.start": 10,
    "export.run": 4,
    "page.view": 1,
}
_LATE: Final = 70 * HOUR
Event = dict[str, Any]


class Business:
    """Its documents, its usage and its commands; times are near `now`, microseconds."""

    def __init__(self, seed: int, now: int) -> None:
        self._random, self._now = random.Random(seed), now
        self._sent: list[Event] = []
        self._commands = 0

    def documents(self) -> list[Document]:
        """In force before any usage; some of it is refused."""
        made = catalog(self._now)
        for number in range(ACCOUNTS):
            made.append(account(number))
            made += contracts(number, self._now)
            made += grants(number, self._now, self._random)
        foreign = {"kind": "Grant", "type": "promotional", "amount": "1"}
        foreign["effective_at"] = format_instant(self._now)
        made += [
            {**foreign, "id": "lost", "account": "nobody"},
            {**foreign, "id": "base", "account": name_of(0)},
            {**foreign, "id": "astray", "account": name_of(1), "contract": "absent"},
            {**contracts(1, self._now)[0], "seats": 9},
        ]
        return made

    def usage(self, count: int, now: int) -> Iterator[Event]:
        """`count` events around `now`: late ones, repeats, other contents, and what is refused."""
        rng = self._random
        for _ in range(count):
            chance = rng.random()
            if self._sent and chance < 0.04:
                yield rng.choice(self._sent)
            elif self._sent and chance < 0.05:
                yield {**rng.choice(self._sent), "data": {"other": "content"}}
            else:
                yield self._event(now)

    def amendments(self) -> list[Document]:
        """Contracts, seats and accounts change while they are used; packs are bought."""
        made: list[Document] = []
        for number in range(ACCOUNTS):
            owned = {each["id"] for each in contracts(number, self._now)}
            if "old" in owned:
                changes: Document = {
                    "overrides": [{"tag": "llm", "multiplier": "0.75"}],
                    "overage": {"mode": "allow", "multiplier": "2"},
                    "alerts": None,
                }
                made.append(self._amend(number, "old", 10 * HOUR, changes))
                made.append(self._amend(number, "old", 20 * HOUR, {"opportunity": "too late"}))
                made.append(self._command("set_seats", number, contract="old", seats=1 + number))
            if "special" in owned:
                covers = {"covers": {"products": ["calls"]}, "rate_card": "standard"}
                made.append(self._amend(number, "special", HOUR, covers))
                made.append(self._amend(number, "special", 0, {"covers": {"products": []}}))
            bought = {"pack": "hundred", "quantity": str(1 + number % 4)}
            if number % 5 == 1:
                made.append(self._command("purchase", number, **bought))
            if number % 5 == 2:
                made.append(self._command("purchase", number, pack="absent", quantity="1"))
            if number % 5 == 3:
                made.append(account(number, late_grace="PT1H"))
        return made

    def payments(self) -> list[Document]:
        """Grants are funded, adjusted, answer requests; overage is settled, too much of it too."""
        made: list[Document] = []
        for number in range(ACCOUNTS):
            made.append(self._command("fund_grant", number, grant="pending"))
            amount = ("7.25", "-3", "-59.999999999")[number % 3]
            made.append(self._command("adjust_grant", number, grant="base", amount=amount))
            amount = ("0.5", "1000000")[number % 2]
            made.append(self._command("settle_overage", number, amount=amount, reference="i-1"))
            if number % 4 == 1:
                made.append(self._command("top_up_failed", number, request="wallet-1"))
            else:
                made.append(self._grant(number, "answer", "40", request="wallet-1"))
            made.append(self._command("top_up_failed", number, request="absent"))
        return made

    def holds(self) -> list[Document]:
        """Credits are held: for a second, for long, more than there are, twice under one id."""
        made: list[Document] = []
        for number in range(ACCOUNTS):
            wanted = {"product": "calls", "amount": "0.5"}
            for name, lasts in (("soon", "PT1S"), ("long", "PT1H"), ("longer", "P1D")):
                made.append(self._hold(number, name, expires_in=lasts, **wanted))
            made.append(self._hold(number, "much", product="calls", amount="100000000"))
            made.append(self._hold(number, "long", product="calls", amount="0.25"))
            made.append(self._hold(number, "odd", product="absent", amount="1"))
        return made

    def captures(self) -> list[Document]:
        """Holds are captured and released: in part, whole, too much, again, and too late."""
        made: list[Document] = []
        for number in range(ACCOUNTS):
            made.append(self._command("capture_hold", number, hold="long", amount="7"))
            made.append(self._command("capture_hold", number, hold="long", amount="0.125"))
            made.append(made[-1])
            made.append(self._command("release_hold", number, hold="long"))
            made.append(self._command("capture_hold", number, hold="soon"))
            made.append(self._command("release_hold", number, hold="absent"))
            if number % 2:
                made.append(self._command("release_hold", number, hold="longer"))
        return made

    def _hold(self, number: int, name: str, **fields: str) -> Document:
        return {**self._command("place_hold", number, **fields), "id": name}

    def corrections(self) -> list[Document]:
        """What was unpriced gets a price and is replayed; usage is voided and backfilled."""
        priced = {"product": "exports", "price": {"model": "flat", "price": "0.9"}}
        card = next(each for each in catalog(self._now) if each["id"] == "standard")
        first, second = card["versions"]
        made: list[Document] = [
            {**card, "versions": [first, {**second, "rates": [*rates("0.013"), priced]}]}
        ]
        for event in self._sent:
            named = {"source": event["source"], "event": event["id"]}
            if event["type"] == "export.run":
                made.append(self._command("replay", _number_of(event), **named))
        for number in range(ACCOUNTS):
            for days in (9, 100):
                old = self._event(self._now - days * DAY, name_of(number))
                old["id"] = f"old-{number}-{days}"
                text = json.dumps({"specversion": "1.0", **old}, default=str)
                made.append(self._command("backfill", number, event=text))
            last = made[-1]
            made.append({**last, "id": "again"} if number % 2 else last)
        return made

    def voids(self, count: int) -> list[Document]:
        """Of usage that has lines: `count` chosen ones, some of them twice."""
        priced = ("llm.request", "api.call", "storage.sample", "session.start")
        usable = [one for one in self._sent if one["type"] in priced and "fault" not in one["data"]]
        made = []
        for event in self._random.sample(usable, count):
            named = {"source": event["source"], "event": event["id"]}
            times = 1 + (self._random.random() < 0.2)
            made += [self._command("void_usage", _number_of(event), **named) for _ in range(times)]
        return made

    def endings(self) -> list[Document]:
        """Grants are voided and refunded; contracts end, by each policy."""
        made: list[Document] = []
        for number in range(ACCOUNTS):
            kind = ("void_grant", "refund_grant")[number % 2]
            made.append(self._command(kind, number, grant=("base", "llm-only")[number % 4 > 1]))
            made.append(self._command(kind, number, grant="absent"))
            policy = ("expire", "refund", "to_account")[number % 3]
            at = format_instant(self._now + (number - 4) * SECOND)
            ended = {"contract": "new", "at": at, "policy": policy}
            made.append(self._command("terminate_contract", number, **ended))
        return made

    def _event(self, now: int, owner: str | None = None) -> Event:
        rng = self._random
        kind = rng.choices(list(_TYPES), list(_TYPES.values()))[0]
        time, chance = now - rng.randrange(SECOND), rng.random()
        if chance < 0.2:
            time -= rng.randrange(_LATE)
        elif chance < 0.21:
            time -= 4 * DAY
        event: Event = {
            "id": f"e{len(self._sent)}",
            "source": rng.choice(("api", "batch")),
            "type": kind,
            "subject": owner or name_of(rng.randrange(ACCOUNTS)),
            "time": format_instant(time),
            "data": self._data(kind),
        }
        if rng.random() < 0.15:
            event["contract"] = rng.choice(("old", "new", "special", "absent"))
        if owner is None and time > now - 3 * DAY:
            self._sent.append(event)
        return event

    def _data(self, kind: str) -> dict[str, Any]:
        rng = self._random
        data: dict[str, Any] = {"team": {"name": rng.choice(("red", "blue", None))}}
        if kind == "llm.request":
            tokens: dict[str, Any] = {"input": rng.randint(0, 400), "output": rng.randint(0, 90)}
            if (chance := rng.random()) < 0.02:
                tokens["input"] = rng.choice((-1, "many", None))
                data["fault"] = True
            elif chance < 0.2:
                tokens["input"] = Decimal(rng.randrange(10**6)) / 1000
            model = rng.choice(("large", "large", "small"))
            return {**data, "tokens": tokens, "model": model, "eu": rng.random() < 0.3}
        if kind == "api.call":
            return {**data, "tier": rng.choice(("gold", "free"))}
        if kind == "storage.sample":
            return {**data, "gigabytes": rng.randint(0, 40)}
        return {**data, "user": rng.choice(("ann", "bob", 7, True, f"u{rng.randrange(50)}"))}

    def _grant(self, number: int, name: str, amount: str, **fields: Any) -> Document:
        owner = {"kind": "Grant", "id": name, "account": name_of(number), "type": "prepaid"}
        effective = format_instant(self._now - DAY)
        return {**owner, "amount": amount, "effective_at": effective, **fields}

    def _amend(self, number: int, contract: str, ago: int, changes: Document) -> Document:
        effective = {"effective_at": format_instant(self._now - ago), "reason": "asked", "by": "h"}
        return self._command(
            "amend_contract", number, contract=contract, changes=changes, **effective
        )

    def _command(self, kind: str, number: int, **fields: Any) -> Document:
        self._commands += 1
        return {"kind": kind, "id": f"c{self._commands}", "account": name_of(number), **fields}


def _number_of(event: Event) -> int:
    return int(event["subject"][1:])
