"""The shapes of requests and answers, as the OpenAPI document tells them.

Amounts are exact decimal texts, times RFC 3339 in UTC. A position is (journal offset, row, ordinal)
of the account's partition: the rows hold all that the journal holds below it.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Amount = Annotated[str, Field(pattern=r"^-?(0|[1-9][0-9]*)(\.[0-9]{1,9})?$")]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Position = Annotated[list[int], Field(min_length=3, max_length=3)]
Token = Annotated[str, Field(description="opaque")]
Cursor = Annotated[str | None, Field(description="opaque; null: there is no more")]


class Answer(BaseModel):
    """The base of every answer: it has no other members."""

    model_config = ConfigDict(extra="forbid")


class _Placed(Answer):
    journal_time: Time
    partition: int
    position: Position


class GrantCost(Answer):
    """What was paid for a grant."""

    amount: Amount
    currency: str


class GrantEntry(Answer):
    """A grant and where its credits are."""

    id: str
    type: Literal["prepaid", "promotional"]
    contract: str | None
    issued: Amount
    consumed: Amount
    expired: Amount
    rolled_over: Amount
    voided: Amount
    refunded: Amount
    remaining: Amount
    held: Amount
    state: Literal["pending", "scheduled", "active", "expired", "voided"]
    effective_at: Time
    expires_at: Time | None
    issued_at: Time
    priority: int
    products: list[str] | None
    tags: list[str] | None
    cost: GrantCost | None


class ScopeEntry(Answer):
    """What the wallet (contract null) or a contract has and owes."""

    contract: str | None
    available: Amount
    overage: Amount


class BalanceAnswer(_Placed):
    """A balance: of the account, or of what of it was asked for.

    With `product`, `available` is what a line of it could draw now and `grants` those that would
    pay, in burn order. Grants that were retired are counted in `consumed` of the account only.
    """

    account: str
    contract: str | None
    product: str | None
    grant: str | None
    available: Amount
    overage: Amount
    consumed: Amount
    scopes: list[ScopeEntry]
    grants: list[GrantEntry]


class GrantsPage(_Placed):
    """Grants, the latest first; after those that live the retired ones."""

    grants: list[GrantEntry]
    next_cursor: Cursor


class GrantAnswer(_Placed):
    """One grant."""

    grant: GrantEntry


class AccountEntry(Answer):
    """An account of a listing."""

    account: str
    available: Amount
    overage: Amount
    consumed: Amount
    journal_time: Time
    partition: int
    position: Position


class AccountsPage(Answer):
    """Some accounts. A page may hold fewer or more than `limit`; one may come twice."""

    accounts: list[AccountEntry]
    next_cursor: Cursor


class AccountAnswer(_Placed):
    """An account's document, as it is in force."""

    account: str
    document: dict[str, Any]


class ChangeEntry(Answer):
    """What a revision changed at a path."""

    path: str
    before: Any
    after: Any


class RevisionEntry(Answer):
    """A revision: what changed, from when on, when it was applied, why, by whom."""

    revision: int
    effective_at: Time
    at: Time
    replaced: int | None
    changes: list[ChangeEntry]
    reason: str | None
    by: str | None


class TerminationEntry(Answer):
    """How a contract was ended before its time."""

    at: Time
    policy: str | None
    command: str | None


class ContractAnswer(_Placed):
    """A contract's lineage, and its terms in force."""

    account: str
    contract: str
    revision: int
    ends_at: Time | None
    terminated: TerminationEntry | None
    renews: list[str]
    renewed_by: list[str]
    revisions: list[RevisionEntry]
    terms: dict[str, Any]


class ContractEntry(Answer):
    """A contract of a listing, with its revision in force."""

    contract: str
    revision: int
    ends_at: Time | None


class ContractsPage(_Placed):
    """An account's contracts, by id."""

    contracts: list[ContractEntry]
    next_cursor: Cursor
