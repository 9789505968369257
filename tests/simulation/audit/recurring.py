"""Recurring grants and fees: which are due, when, and of how much (credits.md 3.59 to 3.68)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Final

from tests.simulation.audit.calendar import (
    later,
    local,
    start_after,
    start_around,
    start_from,
    start_of,
)
from tests.simulation.audit.terms import Fields, Terms

RECURRING: Final = "recurring"
FEES: Final = "fees"
_Rule = tuple[str, str | None, str, str]


@dataclass
class _Cursor:
    """A rule that runs: its terms, its next start, and the journal time at which it was known."""

    rule: Fields
    next: int
    known: int


def _now(terms: Terms, account: str, contract: str | None, clock: int) -> Fields:
    """The terms in force at journal time, with the anchor of the billing periods."""
    own = terms.now(account, contract, clock)
    anchor = (own.get("billing") or {}).get("anchor") if contract is not None else None
    return own | {"_anchor": anchor}


def scopes(terms: Terms, account: str) -> Iterator[str | None]:
    """No contract, and the account's contracts."""
    yield None
    yield from (name for owner, name in terms.contracts if owner == account)


def occurrence(terms: Terms, account: str, name: str, at: int) -> Fields | None:
    """The grant `<rule>@<date>` as its rule says; None without such a rule or such a period."""
    rule_id, _, day = name.partition("@")
    zone = terms.accounts[account].get("time_zone", "UTC")
    start = start_of(date.fromisoformat(day), zone)
    for contract in scopes(terms, account):
        own = _now(terms, account, contract, at)
        for rule in own.get(RECURRING) or ():
            if rule["id"] != rule_id:
                continue
            anchor = rule.get("anchor") or own["_anchor"]
            if start_around(start, rule["cadence"], anchor, zone) != start:
                return None
            expiry, ends = rule.get("expiry"), None
            if expiry == "end_of_period":
                ends = start_after(start, rule["cadence"], anchor, zone)
            elif expiry is not None:
                ends = later(start, expiry, zone)
            amount = Fraction(rule["amount"]) * _seats(terms, account, contract, rule)
            times = {"effective_at": start, "expires_at": ends}
            found: Fields = rule | times | {"amount": amount, "contract": contract}
            return found
    return None


def _seats(terms: Terms, account: str, contract: str | None, rule: Fields) -> int:
    return terms.seats[account, contract] if rule.get("per_seat") and contract is not None else 1


class Calendar:
    """The rules that run, each with its next start."""

    def __init__(self) -> None:
        self._runs: dict[_Rule, _Cursor] = {}
        self._last: dict[_Rule, int] = {}

    def due(self, account: str, clock: int, terms: Terms) -> Iterator[tuple[Any, ...]]:
        """The occurrences up to `clock`: account, contract, kind, id, amount, instant."""
        zone = terms.accounts[account].get("time_zone", "UTC")
        for key, cursor in self._runs.items():
            if key[0] != account:
                continue
            _, contract, kind, name = key
            while cursor.next <= clock:
                start = cursor.next
                own = _now(terms, account, contract, start)
                end = terms.end(account, contract, start)
                rules = {rule["id"]: rule for rule in own.get(kind) or ()}
                if name not in rules or (end is not None and start >= end):
                    break
                rule = rules[name]
                self._last[key] = start
                cursor.next = start_after(start, rule["cadence"], _anchor(rule, own), zone)
                seats = _seats(terms, account, contract, rule)
                amount = Fraction(rule["amount"]) * seats
                if amount or kind == FEES:
                    day = local(start, zone).date().isoformat()
                    at = max(start, cursor.known)
                    yield account, contract, kind, f"{name}@{day}", amount, at

    def follow(self, account: str, clock: int, terms: Terms) -> None:
        """The terms may have changed at `clock`: rules go, go on, or begin."""
        zone = terms.accounts[account].get("time_zone", "UTC")
        running = {}
        for contract in scopes(terms, account):
            own = _now(terms, account, contract, clock)
            for kind in (RECURRING, FEES):
                for rule in own.get(kind) or ():
                    key = (account, contract, kind, rule["id"])
                    running[key] = self._cursor(key, rule, own, clock, terms, zone)
        for key in [key for key in self._runs if key[0] == account]:
            del self._runs[key]
        self._runs |= running

    def _cursor(
        self, key: _Rule, rule: Fields, own: Fields, clock: int, terms: Terms, zone: str
    ) -> _Cursor:
        found, anchor = self._runs.get(key), _anchor(rule, own)
        if found is not None:
            old = found.rule
            if (old["cadence"], old.get("anchor")) != (rule["cadence"], rule.get("anchor")):
                found.next = start_from(clock, rule["cadence"], anchor, zone)
            found.rule = rule
        elif key[1] is None:
            start = start_around(clock, rule["cadence"], anchor, zone)
            found = _Cursor(rule, start, clock)
        else:
            begins = terms.contracts[key[0], key[1]].revisions[0][0]
            found = _Cursor(rule, start_from(begins, rule["cadence"], anchor, zone), clock)
        last = self._last.get(key)
        if last is not None and found.next <= last:
            found.next = start_after(last, rule["cadence"], anchor, zone)
        return found


def _anchor(rule: Fields, own: Fields) -> str | None:
    anchor: str | None = rule.get("anchor") or own["_anchor"]
    return anchor
