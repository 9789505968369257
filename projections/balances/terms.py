"""What an account's and a contract's documents say to drawdown, compiled once. Pure."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

from projections.balances.row import ACCOUNT, WALLET, BalanceRow, Scope
from projections.contracts import contract_of, in_force
from schemas.documents import (
    DEFAULT_THRESHOLDS,
    Account,
    AlertRule,
    Fee,
    Limit,
    Overage,
    Percent,
    Recurring,
    parse_document,
)
from schemas.documents import TopUp as TopUpTerms
from schemas.numbers import Credits, Quantity
from schemas.periods import period_at
from schemas.times import parse_duration

_ONE: Final = Quantity.parse("1").units


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule; thresholds as (text, units), the mildest first."""

    id: str
    measure: str
    thresholds: tuple[tuple[str, int], ...]
    products: tuple[str, ...] | None
    at_most_daily: bool


@dataclass(frozen=True, slots=True)
class OverageTerms:
    """What happens beyond the grants: `cap` in units, or `percent` of what was issued."""

    mode: str
    cap: int | None
    percent: int | None
    grace: int | None
    multiplier: int
    settle: str

    @property
    def plain(self) -> bool:
        """Overage is simply recorded: nothing is denied, multiplied or capped."""
        return self.mode == "allow" and self.multiplier == _ONE


@dataclass(frozen=True, slots=True)
class TopUpRule:
    """When and how far a scope asks for credits; units and microseconds."""

    threshold: int
    target: int
    cooldown: int
    max_per_period: int | None
    max_failures: int
    timeout: int


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a wallet or of one revision of a contract."""

    burn_policy: tuple[str, ...] | None
    overage: OverageTerms
    limits: tuple[Limit, ...]
    recurring: tuple[Recurring, ...]
    fees: tuple[Fee, ...]
    top_up: TopUpRule | None
    rules: tuple[Rule, ...]
    cycle: str
    anchor: date | None


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """An account's: the wallet's terms, and what holds for all of it."""

    wallet: Terms
    time_zone: str
    late_grace: int


@lru_cache(maxsize=65_536)
def account_terms(document: str) -> AccountTerms:
    """The terms of a canonical account document."""
    account = parse_document(document.encode())
    assert isinstance(account, Account), document
    rules = _rules(account.alerts)
    if account.alerts is None:
        default = tuple((text, Credits.parse(text).units) for text in DEFAULT_THRESHOLDS)
        rules = (Rule("default", "consumed_percent", default, None, at_most_daily=False),)
    return AccountTerms(
        _terms(account, rules, "monthly", None),
        account.time_zone,
        parse_duration(account.late_grace).microseconds,
    )


@lru_cache(maxsize=65_536)
def contract_terms(document: str) -> Terms:
    """The terms of one revision of a contract, a canonical document."""
    contract = contract_of(document)
    billing = contract.billing
    cycle, anchor = ("monthly", None) if billing is None else (billing.cycle, billing.anchor)
    return _terms(contract, _rules(contract.alerts), cycle, anchor)


def terms_at(row: BalanceRow, scope: str, time: int) -> Terms:
    """The terms of the wallet, or of a contract's revision in force at `time`."""
    if scope in (WALLET, ACCOUNT):
        return account_terms(row.terms.document).wallet
    return contract_terms(in_force(row.terms.contracts[scope], time).document)


def terms_now(row: BalanceRow, scope: str) -> Terms:
    """The terms in force at journal time: of a contract, the revision that has begun."""
    if scope in (WALLET, ACCOUNT):
        return account_terms(row.terms.document).wallet
    revision = max(row.scopes[scope].revision, 1)
    return contract_terms(row.terms.contracts[scope].revisions[revision - 1].document)


def billing_period(row: BalanceRow, terms: Terms, time: int) -> tuple[int, int]:
    """The billing period [start, end) of a scope with these terms that contains `time`."""
    zone = account_terms(row.terms.document).time_zone
    return period_at(time, terms.cycle, terms.anchor, zone)


def cap_of(terms: OverageTerms, scope: Scope) -> int | None:
    """The most overage of the scope, in units, rounded down; None without a cap."""
    if terms.mode != "cap":
        return None
    if terms.cap is not None:
        return terms.cap
    assert terms.percent is not None, terms
    return scope.issued * terms.percent // (100 * _ONE)


def _rules(alerts: tuple[AlertRule, ...] | None) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            rule.id,
            rule.measure,
            tuple(
                (str(value), value.units)
                for value in sorted(
                    rule.thresholds, reverse=not rule.measure.startswith("consumed")
                )
            ),
            rule.products,
            rule.at_most_daily,
        )
        for rule in alerts or ()
    )


def _terms(document: Any, rules: tuple[Rule, ...], cycle: str, anchor: date | None) -> Terms:  # noqa: ANN401
    return Terms(
        document.burn_policy,
        _overage(document.overage),
        document.limits,
        document.recurring,
        document.fees,
        _top_up(document.top_up),
        rules,
        cycle,
        anchor,
    )


def _overage(overage: Overage) -> OverageTerms:
    cap = overage.cap
    return OverageTerms(
        overage.mode,
        cap.units if isinstance(cap, Credits) else None,
        cap.percent.units if isinstance(cap, Percent) else None,
        None if overage.grace is None else parse_duration(overage.grace).microseconds,
        overage.multiplier.units,
        overage.settle,
    )


def _top_up(top_up: TopUpTerms | None) -> TopUpRule | None:
    if top_up is None:
        return None
    return TopUpRule(
        top_up.threshold.units,
        top_up.target.units,
        parse_duration(top_up.cooldown).microseconds,
        top_up.max_per_period,
        top_up.max_failures,
        parse_duration(top_up.timeout).microseconds,
    )
