"""When an account's alerts fire, and what they are (credits.md section 7). Pure.

Edge-triggered: a threshold fires once, at or beyond it, and is armed again when the value is back
on the good side. An alert's id hashes what it is about and what caused it, so the same crossing has
the same id for ever, whatever crashed in between (I6).
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import msgspec

from projections.balances.row import BalanceRow, Rule, terms_of
from schemas.numbers import CREDIT_DECIMALS, format_units
from schemas.times import format_instant

_HUNDRED: Final = 100 * 10**CREDIT_DECIMALS
LOW: Final = "credits.balance.low"
RECOVERED: Final = "credits.balance.recovered"
DEPLETED: Final = "credits.balance.depleted"
OVERAGE_STARTED: Final = "credits.overage.started"
GRANT_ISSUED: Final = "credits.grant.issued"
GRANT_EXPIRED: Final = "credits.grant.expired"


@dataclass(frozen=True, slots=True)
class Cause:
    """What made an alert: `key` is the due item and its time, or the record's position."""

    at: int
    key: str
    position: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. Amounts are units; `cause` and the subject make its id."""

    type: str
    account: str
    cause: Cause
    rule: str | None = None
    threshold: str | None = None
    grant: str | None = None
    available: int | None = None
    issued: int | None = None
    amount: int | None = None

    @property
    def at(self) -> int:
        """When it happened, microseconds."""
        return self.cause.at

    @property
    def id(self) -> str:
        """Hash of (account, type, rule, threshold, grant, cause)."""
        parts = (self.account, self.type, self.rule, self.threshold, self.grant, self.cause.key)
        return blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()

    def data(self) -> dict[str, str]:
        """What has a value, as texts."""
        texts = {"rule": self.rule, "threshold": self.threshold, "grant": self.grant}
        amounts = {"available": self.available, "issued": self.issued, "amount": self.amount}
        texts |= {
            name: format_units(units, CREDIT_DECIMALS)
            for name, units in amounts.items()
            if units is not None
        }
        return {name: text for name, text in texts.items() if text is not None}

    def to_cloudevent(self) -> bytes:
        """The CloudEvent of `metering.alerts.v1` (schemas.events.AlertEvent)."""
        at = format_instant(self.at)
        return msgspec.json.encode(
            {
                "specversion": "1.0",
                "id": self.id,
                "source": "drawdown",
                "type": self.type,
                "subject": self.account,
                "time": at,
                "datacontenttype": "application/json",
                "data": {**self.data(), "at": at, "position": self.cause.position},
            }
        )


def evaluate(row: BalanceRow, cause: Cause) -> list[Alert]:
    """The measures after one step: recovered and low by rule, then depleted. Updates the states."""
    alerts: list[Alert] = []
    active = [grant for grant in row.grants if grant.state == "active"]
    available = sum(grant.remaining for grant in active)
    if active:  # without active grants there is no data, and states stay
        issued = sum(grant.issued for grant in active)
        consumed = sum(grant.consumed for grant in active)
        for rule in terms_of(row.document).rules:
            alerts.extend(_by_rule(row, rule, (available, consumed, issued), cause))
    if row.above_zero and available == 0:
        alerts.append(Alert(DEPLETED, row.account, cause, available=0))
    row.above_zero = available > 0
    return alerts


def _by_rule(
    row: BalanceRow, rule: Rule, measured: tuple[int, int, int], cause: Cause
) -> list[Alert]:
    alerts = []
    available, consumed, issued = measured
    for text, threshold in rule.thresholds:
        beyond = reached(rule.measure, threshold, available, consumed, issued)
        fired = (rule.id, text) in row.fired
        if beyond == fired:
            continue
        (row.fired.add if beyond else row.fired.discard)((rule.id, text))
        alerts.append(
            Alert(
                LOW if beyond else RECOVERED,
                row.account,
                cause,
                rule=rule.id,
                threshold=text,
                available=available,
                issued=issued,
            )
        )
    return alerts


def reached(measure: str, threshold: int, available: int, consumed: int, issued: int) -> bool:
    """Is the measure at or beyond the threshold, on its bad side?"""
    if measure == "consumed_percent":
        return consumed * _HUNDRED >= threshold * issued
    if measure == "remaining_percent":
        return available * _HUNDRED <= threshold * issued
    assert measure == "remaining_amount", measure
    return available <= threshold


def headroom(row: BalanceRow) -> int:
    """The most that active grants can lose with no alert: no armed threshold reached, not depleted.

    Negative where even nothing more may be assumed: something is to be evaluated first.
    """
    active = [grant for grant in row.grants if grant.state == "active"]
    available = sum(grant.remaining for grant in active)
    if not active or (available > 0) != row.above_zero:
        return -1
    issued = sum(grant.issued for grant in active)
    consumed = sum(grant.consumed for grant in active)
    room = available - 1
    for rule in terms_of(row.document).rules:
        for text, threshold in rule.thresholds:
            if (rule.id, text) in row.fired:
                continue
            if rule.measure == "consumed_percent":
                most = -(-threshold * issued // _HUNDRED) - 1 - consumed
            elif rule.measure == "remaining_percent":
                most = available - threshold * issued // _HUNDRED - 1
            else:
                most = available - threshold - 1
            room = min(room, most)
    return room


def forget_removed(row: BalanceRow) -> None:
    """After the terms changed: states of thresholds that are gone go; new ones are armed."""
    kept = {(rule.id, text) for rule in terms_of(row.document).rules for text, _ in rule.thresholds}
    row.fired &= kept
