"""The CloudEvents of the outside: usage on its way in, alerts on their way out.

The plain models: producers and tests validate with them, the JSON Schemas are made from them. Admission
reads usage with `processors.admission.envelope`, which is quick and refuses the same.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.documents import Id
from schemas.numbers import Credits
from schemas.times import Instant

Attribute = Annotated[str, Field(min_length=1, max_length=256)]


class UsageEvent(BaseModel):
    """One event of usage, CloudEvents 1.0. (`subject`, `source`, `id`) is its idempotency key.

    Extension attributes may come with it and are not kept.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: Literal["1.0"] = "1.0"
    id: Attribute
    source: Attribute
    type: Attribute
    subject: Id = Field(description="the account")
    time: Instant
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: Any = None


class AlertData(BaseModel):
    """What an alert says; what has no value is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str | None = None
    threshold: Credits | None = None
    available: Credits | None = None
    issued: Credits | None = None
    grant: str | None = None
    amount: Credits | None = None
    at: Instant
    position: str = Field(description="journal partition position: offset:row:ordinal")


class AlertEvent(BaseModel):
    """One alert, CloudEvents 1.0. Delivered at least once: drop repeats by `id`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specversion: Literal["1.0"] = "1.0"
    id: Attribute
    source: Literal["drawdown"] = "drawdown"
    type: Literal[
        "credits.grant.issued",
        "credits.grant.expired",
        "credits.balance.low",
        "credits.balance.recovered",
        "credits.balance.depleted",
        "credits.overage.started",
    ]
    subject: Id = Field(description="the account")
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    data: AlertData
