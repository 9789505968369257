"""What is low, recovered or depleted is told, at its place and once (credits.md section 7, I6).

For accounts whose grants' terms are plain (`Terms.plain`), and for rules over all of their grants.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

from tests.simulation.audit.holding import Held, Holdings
from tests.simulation.audit.terms import Fields, Terms

_LOW: Final = "credits.balance.low"
_RECOVERED: Final = "credits.balance.recovered"
_DEPLETED: Final = "credits.balance.depleted"
_DEFAULT: Final = [
    {"id": "default", "measure": "consumed_percent", "thresholds": ["50", "80", "95"]}
]
_MEASURES: Final = {"remaining_amount", "remaining_percent", "consumed_percent"}
Place = tuple[int, int, int]


class Told:
    """The alerts in the order of the places that caused them, each once, by place and account."""

    def __init__(self, alerts: Sequence[bytes]) -> None:
        self._at: dict[Place, dict[str, list[Fields]]] = defaultdict(lambda: defaultdict(list))
        self._fired: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._before: dict[str, tuple[bool, int]] = {}
        known = set()
        for event in map(json.loads, alerts):
            if event["id"] not in known and event["data"].get("contract") is None:
                known.add(event["id"])
                place: Any = tuple(int(part) for part in event["data"]["position"].split(":"))
                self._at[place][event["subject"]].append(event)

    def accounts(self, place: Place) -> set[str]:
        """Those of which something was told at a place."""
        return set(self._at.get(place, ()))

    def check(
        self, place: Place, account: str, clock: int, holdings: Holdings, terms: Terms
    ) -> Iterator[str]:
        """After all that happened to an account at a place."""
        events = self._at[place][account]
        fired, active = self._fired[account], holdings.active(account, clock, terms)
        for event in events:
            key = (event["data"].get("rule"), event["data"].get("threshold"))
            if event["type"] in {_LOW, _RECOVERED}:
                if (key in fired) == (event["type"] == _LOW) and not self._daily(terms, account):
                    yield f"{place} I6: {account} {event['type']} {key} is told again"
                (fired.add if event["type"] == _LOW else fired.discard)(key)
        rules = terms.accounts[account].get("alerts", _DEFAULT)
        fired &= {(rule["id"], text) for rule in rules for text in rule["thresholds"]}
        plain = terms.plain(account)
        depleted = sum(event["type"] == _DEPLETED for event in events)
        above, since = self._before.get(account, (False, 0))
        now = self._before[account] = (any(held.free for held in active), clock)
        rose = account in holdings.rose or holdings.began(account, since, clock, terms)
        holdings.rose.discard(account)
        if not plain:
            return
        if above and not now[0] and not depleted:
            yield f"{place} I6: {account} is depleted, and that is not told"
        if depleted and not above and not rose:
            yield f"{place} I6: {account} had nothing, and is told as depleted"
        if active and sum(held.issued for held in active):
            yield from (f"{place} {fault}" for fault in _low(account, fired, active, rules))

    def _daily(self, terms: Terms, account: str) -> bool:
        return any(rule.get("at_most_daily") for rule in terms.accounts[account].get("alerts", ()))


def _low(
    account: str, fired: set[tuple[str, str]], active: list[Held], rules: list[Fields]
) -> Iterator[str]:
    for rule in rules:
        if rule["measure"] not in _MEASURES or rule.get("at_most_daily"):
            continue
        for text in rule["thresholds"]:
            beyond = _beyond(rule["measure"], Fraction(text), active)
            if beyond != ((rule["id"], text) in fired):
                yield f"I6: {account} is beyond {rule['id']} {text}: {beyond}, told otherwise"


def _beyond(measure: str, threshold: Fraction, active: list[Held]) -> bool:
    issued = sum(held.issued for held in active)
    left = sum(held.free for held in active)
    if measure == "remaining_amount":
        return left <= threshold
    if measure == "remaining_percent":
        return left * 100 <= threshold * issued
    return sum(held.used for held in active) * 100 >= threshold * issued
