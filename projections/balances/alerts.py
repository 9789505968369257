"""What an alert is, its identity, and the order of those of one step (credits.md section 7). Pure.

An alert's id hashes what it is about and what caused it, so the same crossing has the same id for
ever, whatever crashed in between (I6).
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import msgspec

from schemas.numbers import CREDIT_DECIMALS, format_units
from schemas.times import format_instant

GRANT_ISSUED: Final = "credits.grant.issued"
GRANT_VOIDED: Final = "credits.grant.voided"
GRANT_REFUNDED: Final = "credits.grant.refunded"
GRANT_EXPIRED: Final = "credits.grant.expired"
GRANT_ROLLED_OVER: Final = "credits.grant.rolled_over"
GRANT_EXPIRING: Final = "credits.grant.expiring"
RECOVERED: Final = "credits.balance.recovered"
LOW: Final = "credits.balance.low"
DEPLETED: Final = "credits.balance.depleted"
OVERAGE_STARTED: Final = "credits.overage.started"
OVERAGE_CAPPED: Final = "credits.overage.capped"
OVERAGE_DUE: Final = "credits.overage.due"
LIMIT_REACHED: Final = "credits.limit.reached"
TOPUP_REQUESTED: Final = "credits.topup.requested"

RANK: Final[dict[str, int]] = {
    GRANT_ISSUED: 0,
    GRANT_VOIDED: 0,
    GRANT_REFUNDED: 0,
    GRANT_EXPIRED: 0,
    GRANT_ROLLED_OVER: 0,
    GRANT_EXPIRING: 0,
    RECOVERED: 1,
    LOW: 1,
    DEPLETED: 2,
    OVERAGE_STARTED: 3,
    OVERAGE_CAPPED: 4,
    OVERAGE_DUE: 5,
    LIMIT_REACHED: 6,
    TOPUP_REQUESTED: 7,
}
"""The order of the alerts of one step; equal ones as they happened."""


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
    contract: str | None = None
    entity: str | None = None
    request: str | None = None
    available: int | None = None
    issued: int | None = None
    amount: int | None = None

    @property
    def at(self) -> int:
        """When it happened, microseconds."""
        return self.cause.at

    @property
    def id(self) -> str:
        """Hash of (account, type, rule, threshold, grant, cause), and the contract and entity."""
        parts = (
            self.account,
            self.type,
            self.rule,
            self.threshold,
            self.grant,
            self.cause.key,
            self.contract,
            self.entity,
        )
        return blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()

    def data(self) -> dict[str, str]:
        """What has a value, as texts."""
        names = ("rule", "threshold", "grant", "contract", "entity", "request")
        texts = {name: getattr(self, name) for name in names}
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
