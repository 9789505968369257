"""The balance rows: all that drawdown keeps of one account, and its conservation.

Amounts are units of 10^-9 credits, instants microseconds. What each commit writes is the *hot* row
(`BalanceRow`): where the credits are. What seldom changes (documents, terms of grants) is the
*cold* row (`TermsRow`); keys' tallies, limits, retired grants and commands have rows of their own
(`projections.balances.books`). In memory a hot row holds its cold one, and each grant its terms.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from projections.contracts import Lineage

State = Literal[
    "pending", "scheduled", "active", "expired", "voided", "refunded", "closed", "lapsed"
]
"""`refunded` is voided with its cost returned; `closed` is expired by a contract's termination:
nothing reopens it; `lapsed` is voided without ever having been funded."""

ENDED: Final = frozenset({"expired", "voided", "refunded", "closed", "lapsed"})
ACCOUNT: Final = "*"
"""The scope of all grants of the account: what its alerts measure."""
WALLET: Final = ""
"""The scope of customer-level grants and terms. Any other scope is a contract's id."""


@dataclass(slots=True)
class GrantTerms:
    """What was agreed of a grant. `number` counts the account's grants as they were issued.

    `expires_at` is the earlier of the grant's own end and its contract's; `root` the id that rolled
    grants are named after, `times` how often it was rolled, `root_effective_at` since when a rolled
    grant counts as effective. `paid` is money in 10^-9 of `currency`.
    """

    id: str
    number: int
    type: Literal["prepaid", "promotional"]
    contract: str | None
    effective_at: int
    expires_at: int | None
    own_expires_at: int | None
    priority: int
    products: tuple[str, ...] | None
    tags: tuple[str, ...] | None
    paid: int
    currency: str | None
    rollover: str | None
    request: str | None
    issued_at: int
    digest: str
    root: str
    times: int
    root_effective_at: int


@dataclass(slots=True)
class GrantRow:
    """Where the credits of one grant are. `ended_at` is when it left for good, in journal time.

    `held` is the part of `remaining` that open holds reserve. All that remains of a grant that has
    ended is held: each hold's part follows the rest when the hold has ended too.
    """

    id: str
    state: State
    issued: int
    remaining: int
    consumed: int = 0
    expired: int = 0
    rolled_over: int = 0
    voided: int = 0
    refunded: int = 0
    ended_at: int | None = None
    held: int = 0
    terms: GrantTerms = field(default=None, compare=False, repr=False)  # type: ignore[assignment]

    @property
    def free(self) -> int:
        """What remains and is not held."""
        return self.remaining - self.held


@dataclass(slots=True)
class TopUp:
    """Automatic top-up of one scope: the request in flight since `requested_at`, and its failures.

    `ready_at` ends the cooldown; `used` counts the requests of the billing period from `period`.
    """

    number: int = 0
    request: str | None = None
    requested_at: int = 0
    failures: int = 0
    ready_at: int = 0
    period: int = 0
    used: int = 0


@dataclass(slots=True)
class Scope:
    """What is counted for all grants, for the wallet, or for one contract.

    `overage` is unsettled, `added` what the billing period that ends at `period_end` brought;
    `spent` the net cost of local day `today`, `days` that of up to 7 days before it, from
    `first_day` on. `next` holds when each recurring grant and fee falls due, `last` when it did.
    """

    overage: int = 0
    added: int = 0
    spent: int = 0
    started_at: int | None = None
    period_end: int | None = None
    capped: bool = False
    issued: int = 0
    above_zero: bool = False
    today: int = 0
    first_day: int | None = None
    days: list[tuple[int, int]] = field(default_factory=list)
    revision: int = 0
    ended: bool = False
    seats: int | None = None
    next: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    top_up: TopUp | None = None


@dataclass(slots=True)
class Owed:
    """Unsettled overage, oldest first; `product` None where it stands until it is settled."""

    product: str | None
    amount: int


@dataclass(slots=True)
class TermsRow:
    """The cold row: the account's canonical document, its contracts, its grants' terms."""

    document: str
    contracts: dict[str, Lineage] = field(default_factory=dict)
    grants: dict[str, GrantTerms] = field(default_factory=dict)


@dataclass(slots=True)
class BalanceRow:
    """The hot row of one account.

    `fired` holds the thresholds that are not armed, by (scope, rule, threshold, grant), and whether
    that was told; `told` the local day on which a rule that speaks at most daily did. `clock` is
    journal time of the last that happened to the account, `due` when something is due next.
    `retired` counts the grants that left the row, `retired_consumed` what they paid,
    `last_retired` names the head of their list. `holds_until` is when the first of the open holds
    ends. `plan` and `settled` live in memory only.
    """

    account: str
    clock: int
    terms: TermsRow
    due: int | None = None
    issued_grants: int = 0
    retired: int = 0
    retired_consumed: int = 0
    last_retired: str | None = None
    grants: list[GrantRow] = field(default_factory=list)
    scopes: dict[str, Scope] = field(default_factory=dict)
    owed: dict[tuple[str, str, int], Owed] = field(default_factory=dict)
    fired: dict[tuple[str, str, str, str], bool] = field(default_factory=dict)
    told: dict[tuple[str, str, str], int] = field(default_factory=dict)
    holds_until: int | None = None
    plan: Any = field(default=None, compare=False, repr=False)
    settled: str | None = field(default=None, compare=False, repr=False)

    @property
    def available(self) -> int:
        """What remains of the active grants and is not held."""
        return available_in(self, ACCOUNT)

    @property
    def overage(self) -> int:
        """What is unsettled, over all scopes."""
        return sum(scope.overage for scope in self.scopes.values())

    @property
    def consumed(self) -> int:
        """What was consumed of all grants, the retired ones too."""
        return self.retired_consumed + sum(grant.consumed for grant in self.grants)

    def grant(self, name: str) -> GrantRow | None:
        """The grant of this id, unless it was retired or never there."""
        return next((grant for grant in self.grants if grant.id == name), None)


def within(row: BalanceRow, scope: str) -> list[GrantRow]:
    """The grants of a scope, in the order they were issued."""
    if scope == ACCOUNT:
        return row.grants
    return [grant for grant in row.grants if (grant.terms.contract or WALLET) == scope]


def available_in(row: BalanceRow, scope: str) -> int:
    """What remains of the scope's active grants and is not held."""
    return sum(grant.free for grant in within(row, scope) if grant.state == "active")


def check_conservation(account: str, grants: list[GrantRow]) -> list[str]:
    """Every breach of conservation (I3), as a sentence; empty when there is none."""
    breaches = []
    for grant in grants:
        parts = (
            grant.consumed,
            grant.expired,
            grant.rolled_over,
            grant.voided,
            grant.refunded,
            grant.remaining,
        )
        if sum(parts) != grant.issued:
            breaches.append(f"{account}/{grant.id}: issued {grant.issued}, found {sum(parts)}")
        if min(parts) < 0:
            breaches.append(f"{account}/{grant.id}: a negative part in {parts}")
        elif not 0 <= grant.held <= grant.remaining:
            breaches.append(f"{account}/{grant.id}: {grant.held} held of {grant.remaining}")
    return breaches
