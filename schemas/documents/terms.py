"""Terms that accounts and contracts share (credits.md sections 3 to 7)."""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, Tag

from schemas.documents.fields import (
    Counted,
    DottedPath,
    ExactDuration,
    Fault,
    Flag,
    Id,
    Ids,
    Lifetime,
    LocalDate,
    NotNegativeCredits,
    NotNegativeQuantity,
    PeriodOrLifetime,
    PositiveCredits,
    PositiveExactDuration,
    Priority,
    Strict,
    Tags,
    Whole,
    named_twice,
    repeated,
)
from schemas.numbers import Credits, Quantity

_HUNDRED: Final = 100
_DAY: Final = 10**Credits.DECIMALS
_MOST_DAYS: Final = 36_500

Cadence = Literal["daily", "weekly", "monthly", "quarterly", "annual"]
BurnKey = Literal[
    "priority",
    "contract_first",
    "wallet_first",
    "promotional_first",
    "prepaid_first",
    "rolled_over_first",
    "specificity",
    "expires_at",
    "effective_at",
    "cost_basis",
    "-cost_basis",
    "issued_at",
]
DEFAULT_BURN_POLICY: Final[tuple[BurnKey, ...]] = (
    "priority",
    "contract_first",
    "specificity",
    "expires_at",
    "promotional_first",
    "effective_at",
)
_OPPOSITES: Final = (
    ("contract_first", "wallet_first"),
    ("promotional_first", "prepaid_first"),
    ("cost_basis", "-cost_basis"),
)


class Percent(Strict):
    """A share of what was issued; it may be more than all of it."""

    percent: NotNegativeQuantity


def _kind_of_cap(cap: object) -> str:
    return "<percent>" if isinstance(cap, dict | Percent) else "<credits>"


Cap = Annotated[
    Annotated[NotNegativeCredits, Tag("<credits>")] | Annotated[Percent, Tag("<percent>")],
    Discriminator(_kind_of_cap),
]


class Overage(Strict):
    """What happens beyond the grants (credits.md section 5)."""

    mode: Literal["allow", "cap", "grace", "block"] = "allow"
    cap: Cap | None = None
    grace: ExactDuration | None = None
    multiplier: NotNegativeQuantity = Quantity.parse("1")
    settle: Literal["invoice", "next_grant"] = "invoice"

    def contradictions(self) -> Iterable[Fault]:
        """A mode without what it needs, or that without the mode."""
        for field, value in (("cap", self.cap), ("grace", self.grace)):
            if self.mode == field and value is None:
                yield field, f"expected one: the mode is {field}"
            if self.mode != field and value is not None:
                yield field, f"expected none: the mode is {self.mode}"


class TopUp(Strict):
    """When and how far to ask for more credits; `max_per_period` requests in a billing period."""

    threshold: NotNegativeCredits
    target: PositiveCredits
    cooldown: ExactDuration = "PT1H"
    max_per_period: Counted | None = None
    max_failures: Counted = 3
    timeout: PositiveExactDuration = "PT24H"

    def contradictions(self) -> Iterable[Fault]:
        """A target that is no more than the threshold."""
        if self.target <= self.threshold:
            yield "target", "expected more than the threshold"


class Limit(Strict):
    """A budget inside the pool, of the account or of each value that `by` leads to in `data`."""

    id: Id
    by: DottedPath
    products: Ids | None = None
    amount: PositiveCredits
    period: Literal["daily", "weekly", "monthly"]

    def contradictions(self) -> Iterable[Fault]:
        """A product twice."""
        yield from named_twice(self.products)


class AlertRule(Strict):
    """Thresholds on one measure: credits, percentages of 0 to 100, or days."""

    id: Id
    measure: Literal[
        "remaining_amount", "remaining_percent", "consumed_percent", "days_left", "grant_expiring"
    ]
    thresholds: tuple[NotNegativeCredits, ...] = Field(min_length=1, max_length=100)
    products: Ids | None = None
    at_most_daily: Flag = False

    def contradictions(self) -> Iterable[Fault]:
        """A threshold twice, a percentage beyond 100, a part of a day before an expiry."""
        yield from repeated(self.thresholds, "thresholds[{}]", "expected each threshold once")
        for index, threshold in enumerate(self.thresholds):
            if self.measure.endswith("_percent") and threshold.units > _HUNDRED * _DAY:
                yield f"thresholds[{index}]", "expected a percentage of at most 100"
            if self.measure == "grant_expiring" and (
                threshold.units % _DAY or not 1 <= threshold.units // _DAY <= _MOST_DAYS
            ):
                yield f"thresholds[{index}]", f"expected a whole number of days, 1 to {_MOST_DAYS}"
        yield from named_twice(self.products)


class Rollover(Strict):
    """What of a grant lives on when it expires. `expiry` None: as long as its parent lived."""

    mode: Literal["full", "none", "percent"]
    percent: NotNegativeQuantity | None = None
    of: Literal["remaining", "issued"] = "remaining"
    cap: NotNegativeCredits | None = None
    threshold: NotNegativeCredits | None = None
    max_times: Whole | None = None
    expiry: Lifetime | None = None
    into: Literal["contract", "account"] = "contract"

    def contradictions(self) -> Iterable[Fault]:
        """A percentage beyond 100, none where the mode needs one, or one where it does not."""
        if self.mode == "percent" and self.percent is None:
            yield "percent", "expected one: the mode is percent"
        if self.mode != "percent" and self.percent is not None:
            yield "percent", f"expected none: the mode is {self.mode}"
        if self.percent is not None and self.percent > Quantity.parse(_HUNDRED):
            yield "percent", "expected a percentage of at most 100"


class Recurring(Strict):
    """A grant in each period. `expiry` None: it does not expire by itself."""

    id: Id
    type: Literal["prepaid", "promotional"]
    amount: PositiveCredits
    cadence: Cadence
    expiry: PeriodOrLifetime | None = None
    rollover: Rollover | None = None
    products: Ids | None = None
    tags: Tags | None = None
    priority: Priority = 50
    per_seat: Flag = False
    anchor: LocalDate | None = None

    def contradictions(self) -> Iterable[Fault]:
        """A product or a tag twice."""
        yield from named_twice(self.products, self.tags)


class Fee(Strict):
    """Credits that fall due in each period, drawn like a line of `product`."""

    id: Id
    product: Id
    amount: PositiveCredits
    cadence: Cadence
    per_seat: Flag = False
    anchor: LocalDate | None = None


class Terms(Strict):
    """What an account says of its wallet and a contract of itself."""

    burn_policy: tuple[BurnKey, ...] | None = Field(default=None, min_length=1)
    overage: Overage = Overage()
    limits: tuple[Limit, ...] = Field(default=(), max_length=100)
    recurring: tuple[Recurring, ...] = Field(default=(), max_length=100)
    fees: tuple[Fee, ...] = Field(default=(), max_length=100)
    top_up: TopUp | None = None

    def contradictions(self) -> Iterable[Fault]:
        """A burn key twice or with its opposite, an id twice."""
        keys = self.burn_policy or ()
        yield from repeated(keys, "burn_policy[{}]", "expected each key once")
        for pair in _OPPOSITES:
            if set(pair) <= set(keys):
                last = max(map(keys.index, pair))
                yield f"burn_policy[{last}]", f"expected only one of {' and '.join(pair)}"
        yield from id_twice((limit.id for limit in self.limits), "limits")
        yield from id_twice((rule.id for rule in self.recurring), "recurring")
        yield from id_twice((fee.id for fee in self.fees), "fees")


def id_twice(ids: Iterable[str], name: str) -> Iterable[Fault]:
    """A fault at each item of the list `name` whose id came before."""
    yield from repeated(ids, f"{name}[{{}}].id", "expected each id once")
