"""What is low, recovered or depleted is told, at its place and once (credits.md section 7, I6).

Of an account over all its grants, of a contract over its own.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

from tests.simulation.audit.grants import Life
from tests.simulation.audit.holding import Held, Holdings
from tests.simulation.audit.lives import Lives
from tests.simulation.audit.recurring import scopes
from tests.simulation.audit.terms import Fields, Terms

_LOW: Final = "credits.balance.low"
_RECOVERED: Final = "credits.balance.recovered"
_DEPLETED: Final = "credits.balance.depleted"
_DEFAULT: Final = [
    {"id": "default", "measure": "consumed_percent", "thresholds": ["50", "80", "95"]}
]
_MEASURES: Final = {"remaining_amount", "remaining_percent", "consumed_percent"}
_KINDS: Final = {_LOW, _RECOVERED, _DEPLETED}
Place = tuple[int, int, int]
Scope = tuple[str, str | None]
Active = Sequence[tuple[Life, Held]]


class Told:
    """The alerts in the order of the places that caused them, each once, by place and scope."""

    def __init__(self, alerts: Sequence[bytes]) -> None:
        self._at: dict[Place, dict[Scope, list[Fields]]] = defaultdict(lambda: defaultdict(list))
        self._fired: dict[Scope, set[tuple[str, str]]] = defaultdict(set)
        self._before: dict[Scope, tuple[bool, int]] = {}
        self._owner: dict[
            tuple[str, str], str | None
        ] = {}  # of a grant, when it was last looked at
        known = set()
        for event in map(json.loads, alerts):
            if event["id"] not in known and event["type"] in _KINDS:
                known.add(event["id"])
                place: Any = tuple(int(part) for part in event["data"]["position"].split(":"))
                self._at[place][event["subject"], event["data"].get("contract")].append(event)

    def accounts(self, place: Place) -> set[str]:
        """Those of which something was told at a place."""
        return {account for account, _ in self._at.get(place, ())}

    def check(
        self,
        place: Place,
        account: str,
        clock: int,
        holdings: Holdings,
        lives: Lives,
        terms: Terms,
    ) -> Iterator[str]:
        """After all that happened to an account at a place: all its grants, and each contract's."""
        rose = {name for of, name in holdings.rose if of == account}
        holdings.rose -= {(account, name) for name in rose}
        found = [(name, life.contract) for name, life in lives.of.get(account, {}).items()]
        active = list(lives.active(account, clock, holdings))
        for contract in scopes(terms, account):
            scope = (account, contract)
            start = terms.contracts[account, contract].revisions[0][0] if contract else 0
            own = [pair for pair in active if contract in {None, pair[0].contract}]
            own = own if start <= clock else []  # of a contract that has not begun nothing is told
            names = {
                name
                for name, of in found
                if contract in {None, of, self._owner.get((account, name))}
            }
            since = self._before.get(scope, (False, 0))[1]
            began = since < start <= clock or any(
                since < lives.of[account][name].begins <= clock
                for name in names & {*holdings.of[account]}
            )
            faults = self._scope(place, scope, clock, own, terms, rose=began or bool(rose & names))
            yield from (f"{place} I6: {fault}" for fault in faults)
        self._owner.update(((account, name), of) for name, of in found)

    def _scope(
        self, place: Place, scope: Scope, clock: int, active: Active, terms: Terms, *, rose: bool
    ) -> Iterator[str]:
        events, fired = self._at[place][scope], self._fired[scope]
        default = _DEFAULT if scope[1] is None else ()
        rules = terms.now(*scope, clock).get("alerts", default) or ()
        daily = any(rule.get("at_most_daily") for rule in rules)
        for event in events:
            key = (event["data"].get("rule"), event["data"].get("threshold"))
            if event["type"] in {_LOW, _RECOVERED}:
                if (key in fired) == (event["type"] == _LOW) and not daily:
                    yield f"{scope} {event['type']} {key} is told again"
                (fired.add if event["type"] == _LOW else fired.discard)(key)
        fired &= {(rule["id"], text) for rule in rules for text in rule["thresholds"]}
        depleted = sum(event["type"] == _DEPLETED for event in events)
        above = self._before.get(scope, (False, 0))[0]
        now = any(held.free for _, held in active)
        self._before[scope] = (now, clock)
        if above and not now and not depleted:
            yield f"{scope} is depleted, and that is not told"
        if depleted and not above and not rose:
            yield f"{scope} had nothing, and is told as depleted"
        yield from _low(scope, fired, active, rules, terms)


def _low(
    scope: Scope,
    fired: set[tuple[str, str]],
    active: Active,
    rules: Sequence[Fields],
    terms: Terms,
) -> Iterator[str]:
    for rule in rules:
        if rule["measure"] not in _MEASURES or rule.get("at_most_daily"):
            continue
        held = [one for life, one in active if _concerns(rule, life, terms)]
        if not sum(one.issued for one in held):
            continue
        for text in rule["thresholds"]:
            beyond = _beyond(rule["measure"], Fraction(text), held)
            if beyond != ((rule["id"], text) in fired):
                yield f"{scope} is beyond {rule['id']} {text}: {beyond}, told otherwise"


def _concerns(rule: Fields, life: Life, terms: Terms) -> bool:
    """Whether a grant may pay for one of the products that a rule is about."""
    products = rule.get("products")
    return not products or any(life.pays(terms, one, life.contract) for one in products)


def _beyond(measure: str, threshold: Fraction, active: list[Held]) -> bool:
    issued = sum(held.issued for held in active)
    left = sum(held.free for held in active)
    if measure == "remaining_amount":
        return left <= threshold
    if measure == "remaining_percent":
        return left * 100 <= threshold * issued
    return sum(held.used for held in active) * 100 >= threshold * issued
