"""Grants: blocks of credits of an account or of one of its contracts (credits.md section 3)."""

from collections.abc import Iterable
from typing import Literal

from schemas.documents.fields import (
    Cost,
    Fault,
    Id,
    Ids,
    Name,
    PositiveCredits,
    Priority,
    Strict,
    Tags,
    named_twice,
)
from schemas.documents.terms import Rollover
from schemas.times import Instant


class GrantTerms(Strict):
    """A block of credits, whoever owns it. `expires_at` None: it does not expire by itself.

    `request` is that of the top-up which the grant answers.
    """

    id: Id
    type: Literal["prepaid", "promotional"]
    amount: PositiveCredits
    cost: Cost | None = None
    expires_at: Instant | None = None
    priority: Priority = 50
    products: Ids | None = None
    tags: Tags | None = None
    rollover: Rollover | None = None
    funding: Literal["paid", "pending"] = "paid"
    opportunity: Name | None = None
    source: Name | None = None
    request: Name | None = None

    def contradictions(self) -> Iterable[Fault]:
        """A promotion with a cost, a product or a tag twice."""
        if self.type == "promotional" and self.cost is not None:
            yield "cost", "expected no cost: a promotional grant has none"
        yield from named_twice(self.products, self.tags)


class Grant(GrantTerms):
    """A block of credits of an account. `contract` None: it is the customer's, in the wallet."""

    kind: Literal["Grant"] = "Grant"
    account: Id
    contract: Id | None = None
    effective_at: Instant

    def contradictions(self) -> Iterable[Fault]:
        """Those of the terms, and an end before the beginning."""
        yield from super().contradictions()
        if self.expires_at is not None and self.expires_at <= self.effective_at:
            yield "expires_at", "expected later than effective_at"
