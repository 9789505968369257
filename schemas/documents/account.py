"""Accounts with their customer-level terms, and grants (credits.md section 3)."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from schemas.documents.fields import (
    ExactDuration,
    Fault,
    Id,
    Name,
    NotNegativeCredits,
    PositiveCredits,
    Strict,
    TimeZone,
    repeated,
)
from schemas.money import Money, check_currency
from schemas.numbers import Credits, Quantity
from schemas.times import Instant

_ONE = Quantity.parse("1")
_HUNDRED = Credits.parse("100")


def _only_one(value: Quantity) -> Quantity:
    if value != _ONE:
        raise PydanticCustomError("multiplier", "only 1 is supported yet")
    return value


class AlertRule(Strict):
    """Thresholds on one measure; percentages lie within 0 and 100."""

    id: Id
    measure: Literal["consumed_percent", "remaining_percent", "remaining_amount"]
    thresholds: tuple[NotNegativeCredits, ...] = Field(min_length=1, max_length=100)

    def contradictions(self) -> Iterable[Fault]:
        """A threshold twice, a percentage beyond 100."""
        yield from repeated(self.thresholds, "thresholds[{}]", "expected each threshold once")
        if self.measure.endswith("_percent"):
            for index, threshold in enumerate(self.thresholds):
                if threshold > _HUNDRED:
                    yield f"thresholds[{index}]", "expected a percentage of at most 100"


class Overage(Strict):
    """What happens beyond the grants (credits.md section 5); this release knows the defaults."""

    mode: Literal["allow"] = "allow"
    multiplier: Annotated[Quantity, AfterValidator(_only_one)] = _ONE
    settle: Literal["invoice"] = "invoice"


class Account(Strict):
    """A customer's account. An update replaces it from its place in the log."""

    kind: Literal["Account"] = "Account"
    id: Id
    name: Name | None = None
    time_zone: TimeZone = "UTC"
    rate_card: Id | None = None
    overage: Overage = Overage()
    alerts: tuple[AlertRule, ...] | None = Field(None, max_length=100)
    late_grace: ExactDuration = "PT48H"

    def contradictions(self) -> Iterable[Fault]:
        """A rule id twice."""
        ids = [rule.id for rule in self.alerts or ()]
        yield from repeated(ids, "alerts[{}].id", "expected each rule id once")


class Cost(Strict):
    """What was paid: a decimal amount of an ISO 4217 currency."""

    amount: NotNegativeCredits
    currency: Annotated[
        Name,
        AfterValidator(check_currency),
        WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217"}),
    ]

    @property
    def money(self) -> Money:
        """The same as an amount that can be added to others of its currency."""
        return Money(self.amount.units, self.currency)


class Grant(Strict):
    """A block of credits of an account. `expires_at` None: it does not expire."""

    kind: Literal["Grant"] = "Grant"
    id: Id
    account: Id
    type: Literal["prepaid", "promotional"]
    amount: PositiveCredits
    cost: Cost | None = None
    effective_at: Instant
    expires_at: Instant | None = None
    priority: int = Field(50, strict=True, ge=0, le=100)
    products: tuple[Id, ...] | None = Field(None, min_length=1, max_length=1_000)
    opportunity: Name | None = None
    source: Name | None = None

    def contradictions(self) -> Iterable[Fault]:
        """An end before the beginning, a promotion with a cost, a product twice."""
        if self.expires_at is not None and self.expires_at <= self.effective_at:
            yield "expires_at", "expected later than effective_at"
        if self.type == "promotional" and self.cost is not None:
            yield "cost", "expected no cost: a promotional grant has none"
        yield from repeated(self.products or (), "products[{}]", "expected each product once")
