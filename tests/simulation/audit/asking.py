"""Automatic top-up: when a scope asks for credits, and for how much (credits.md 5.16 to 5.33)."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from schemas.times import DAY
from tests.simulation.audit.grants import Life
from tests.simulation.audit.holding import Holdings
from tests.simulation.audit.lives import Lives
from tests.simulation.audit.periods import period_end, period_start
from tests.simulation.audit.recurring import scopes
from tests.simulation.audit.terms import Fields, Terms, span

REQUESTED: Final = "credits.topup.requested"
_FAILURES: Final = 3
Scope = tuple[str, str | None]


@dataclass
class _Ask:
    """The requests of one scope; `ready` is when the cooldown or the backoff is over."""

    number: int = 0
    request: str | None = None
    requested_at: int = 0
    ready: int = 0
    failures: int = 0
    period: int | None = None
    used: int = 0


class Asking:
    """Asks where a scope's available credits are below its threshold, and it may."""

    def __init__(self, lives: Lives, holdings: Holdings) -> None:
        self._lives, self._holdings = lives, holdings
        self._of: dict[Scope, _Ask] = {}
        self._clock: dict[str, int] = {}
        self._waits: dict[Scope, int] = {}

    def waits(self, account: str, contract: str, begins: int) -> None:
        """A new contract begins after the record that brings it, as what is due, if not later."""
        self._waits[account, contract] = begins

    def moment(self, account: str, at: int, terms: Terms) -> Iterator[Fields]:
        """What is asked for after everything due at one instant, or a record."""
        self._clock[account] = at
        for scope, rule in self._rules(account, at, terms):
            ask = self._of.setdefault(scope, _Ask())
            available = self._available(scope, at)
            if available < Fraction(rule["threshold"]) and self._when(scope, rule, at, terms) == at:
                start = period_start(at, *_billing(scope, at, terms))
                ask.used = ask.used + 1 if ask.period == start else 1
                ask.period = start
                ask.number += 1
                ask.request = f"{scope[1] or 'wallet'}-{ask.number}"
                ask.requested_at, ask.ready = at, at + _cooldown(rule)
                about = {"request": ask.request, "amount": Fraction(rule["target"]) - available}
                yield {"type": REQUESTED, "contract": scope[1]} | about

    def happen(self, account: str, due: int, at: int, terms: Terms) -> None:
        """What was due up to `due`, known or done `at`: contracts begin, and requests time out."""
        for scope in [each for each in self._waits if each[0] == account]:
            if self._waits[scope] <= due:
                del self._waits[scope]
        for scope, rule in self._rules(account, at, terms):
            if (timeout := self._timeout(scope, rule)) is not None and timeout <= due:
                _fail(self._of[scope], rule, at)

    def known(self, account: str, before: int, at: int, terms: Terms) -> Iterator[Fields]:
        """What a record `at` makes due at instants that are past, those before one; in order."""
        while True:
            past = [begins for scope, begins in self._waits.items() if scope[0] == account]
            for scope, rule in self._rules(account, at, terms):
                if (timeout := self._timeout(scope, rule)) is not None:
                    past.append(timeout)
            if min(past, default=before) >= before:
                return
            self.happen(account, min(past), at, terms)
            yield from self.moment(account, at, terms)

    def advance(self, account: str, clock: int, terms: Terms) -> Iterator[tuple[int, Fields]]:
        """What is asked for, or fails, up to `clock` where nothing else happens; and when."""
        while True:
            now = self._clock.get(account, clock)
            found = min(self._instants(account, now, clock, terms), default=None)
            if found is None:  # what changes at an instant changes nothing before it
                self._clock[account] = max(now, clock)
                return
            at = max(found, now)
            self.happen(account, at, at, terms)
            yield from ((at, alert) for alert in self.moment(account, at, terms))

    def _instants(self, account: str, now: int, clock: int, terms: Terms) -> Iterator[int]:
        """When a request times out, may be made again, or a contract begins."""
        for scope, held in (
            (each, terms.contracts.get((account, each or ""))) for each in scopes(terms, account)
        ):
            if held is not None:
                yield from (since for since, _ in held.revisions if now < since <= clock)
            ask = self._of.get((account, scope))
            rule = _rule(account, scope, now, terms)
            if ask is None or rule is None:
                continue
            timeout = self._timeout((account, scope), rule)
            if timeout is not None and timeout <= clock:
                yield timeout
            elif self._available((account, scope), now) < Fraction(rule["threshold"]):
                at = self._when((account, scope), rule, now, terms)
                if at is not None and now < at <= clock:
                    yield at

    def _when(self, scope: Scope, rule: Fields, now: int, terms: Terms) -> int | None:
        """When a scope may ask, now at the earliest; None: not before something else happens."""
        ask = self._of[scope]
        if ask.request is not None or ask.failures >= rule.get("max_failures", _FAILURES):
            return None
        billing = _billing(scope, now, terms)
        most = rule.get("max_per_period")
        if most is not None and ask.used >= most and ask.period == period_start(now, *billing):
            return max(now, ask.ready, period_end(now, *billing))
        return max(now, ask.ready)

    def _available(self, scope: Scope, at: int) -> Fraction:
        """Of the contract's own grants, or of those that are customer-level."""
        active = self._lives.active(scope[0], at, self._holdings)
        return sum((held.free for life, held in active if life.contract == scope[1]), Fraction(0))

    def funded(self, account: str, life: Life, terms: Terms) -> None:
        """A grant was paid: it answers the request that it names, and ends a row of failures."""
        for (owner, contract), ask in self._of.items():
            if owner != account:
                continue
            if ask.request is not None and ask.request == life.terms.get("request"):
                ask.request = None
            if contract == life.contract and ask.failures:
                rule = terms.now(account, contract, life.known).get("top_up")
                ask.failures, ask.ready = 0, ask.requested_at + (_cooldown(rule) if rule else 0)

    def failed(self, account: str, request: str, at: int, terms: Terms) -> None:
        """`top_up_failed`, of a request that is in flight."""
        for scope, rule in self._rules(account, at, terms):
            ask = self._of.get(scope)
            if ask is not None and ask.request == request:
                _fail(ask, rule, at)

    def _rules(self, account: str, at: int, terms: Terms) -> Iterator[tuple[Scope, Fields]]:
        """The scopes that ask by themselves: no contract that has yet to begin."""
        for contract in scopes(terms, account):
            rule = _rule(account, contract, at, terms)
            if rule is not None and (account, contract) not in self._waits:
                yield (account, contract), rule

    def _timeout(self, scope: Scope, rule: Fields) -> int | None:
        """When the request that is in flight has failed."""
        ask = self._of.get(scope)
        if ask is None or ask.request is None:
            return None
        return ask.requested_at + span(rule.get("timeout", "PT24H"))


def _rule(account: str, contract: str | None, at: int, terms: Terms) -> Fields | None:
    """The top-up of a scope, of a contract from its start to its end."""
    if contract is not None:
        begins, end = (
            terms.contracts[account, contract].revisions[0][0],
            terms.end(account, contract, at),
        )
        if at < begins or (end is not None and at >= end):
            return None
    return terms.now(account, contract, at).get("top_up")


def _fail(ask: _Ask, rule: Fields, at: int) -> None:
    """After f failures in a row the wait is cooldown times 2 to the f, from the failure on."""
    ask.request = None
    ask.failures += 1
    ask.ready = max(ask.ready, at + min(_cooldown(rule) * 2**ask.failures, DAY))


def _cooldown(rule: Fields) -> int:
    return span(rule.get("cooldown", "PT1H"))


def _billing(scope: Scope, at: int, terms: Terms) -> tuple[str, Fields | None]:
    zone = terms.accounts[scope[0]].get("time_zone", "UTC")
    return zone, None if scope[1] is None else terms.now(*scope, at).get("billing")
