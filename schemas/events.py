"""The CloudEvents of the outside: usage on its way in, alerts on their way out.

The plain models: producers and tests validate with them, the JSON Schemas are made from them.
Admission reads usage with `schemas.envelope`, which is quick and refuses the same.
"""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.documents.fields import Id
from schemas.numbers import Credits
from schemas.reasons import Reason
from schemas.times import Instant

Attribute = Annotated[str, Field(min_length=1, max_length=256)]
ATTRIBUTE_NAME: Final = r"^[a-z0-9]{1,20}$"
UNSUPPORTED_ATTRIBUTES: Final = ("data_base64",)
_NAME: Final = re.compile(ATTRIBUTE_NAME, re.ASCII)


def _name_extensions(schema: dict[str, Any]) -> None:
    schema["properties"] |= dict.fromkeys(UNSUPPORTED_ATTRIBUTES, False)
    schema["propertyNames"] = {"pattern": ATTRIBUTE_NAME}


class UsageEvent(BaseModel):
    """One event of usage, CloudEvents 1.0. (`subject`, `source`, `id`) is its idempotency key.

    Other extension attributes may come with it (a name is up to 20 of a-z, 0-9) and are not kept.
    """

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_extra=_name_extensions)

    specversion: Literal["1.0"] = "1.0"
    id: Attribute
    source: Attribute
    type: Attribute = Field(description="what a product's meter names as its event_type")
    subject: Id = Field(description="the account")
    time: Instant = Field(description="event time: decides price and eligibility")
    contract: Id | None = Field(None, description="the contract to use, if it covers the product")
    datacontenttype: str | None = None
    dataschema: str | None = None
    traceparent: str | None = Field(None, description="W3C trace context")
    tracestate: str | None = None
    data: Any = Field(None, description="what is measured and matched, by dotted paths")

    @model_validator(mode="after")
    def _extensions_are_named_well(self) -> Self:
        for name in self.model_extra or {}:
            if name in UNSUPPORTED_ATTRIBUTES:
                raise PydanticCustomError(
                    Reason.UNSUPPORTED.value, "{name}: not supported yet", {"name": name}
                )
            if not _NAME.fullmatch(name):
                raise PydanticCustomError(
                    "attribute_name",
                    "{name}: expected a name of at most 20 of a-z and 0-9",
                    {"name": name[:64]},
                )
        return self


class AlertData(BaseModel):
    """What an alert says; what has no value is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str | None = None
    threshold: Credits | None = None
    available: Credits | None = None
    issued: Credits | None = None
    contract: str | None = None
    grant: str | None = None
    amount: Credits | None = None
    entity: str | None = Field(None, description="of a limit: the value that the event names")
    request: str | None = Field(None, description="of a top-up: what the grant has to name")
    at: Instant
    position: str = Field(description="in the journal partition: offset:row:ordinal")


class AlertEvent(BaseModel):
    """One alert, CloudEvents 1.0. Delivered at least once: drop repeats by `id`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specversion: Literal["1.0"] = "1.0"
    id: Attribute
    source: Literal["drawdown"] = "drawdown"
    type: Literal[
        "credits.grant.issued",
        "credits.grant.voided",
        "credits.grant.refunded",
        "credits.grant.expired",
        "credits.grant.rolled_over",
        "credits.grant.expiring",
        "credits.balance.low",
        "credits.balance.recovered",
        "credits.balance.depleted",
        "credits.overage.started",
        "credits.overage.capped",
        "credits.overage.due",
        "credits.topup.requested",
        "credits.limit.reached",
    ]
    subject: Id = Field(description="the account")
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    data: AlertData


class RejectedHeaders(BaseModel):
    """The headers of a record on `rejected`: why, and where it stood. Its bytes are the value."""

    model_config = ConfigDict(frozen=True, extra="allow")

    reason: Reason = Field(alias="drawdown-reason")
    topic: str = Field(alias="__connect.errors.topic")
    partition: str = Field(alias="__connect.errors.partition")
    offset: str = Field(alias="__connect.errors.offset")
    exception: str = Field(alias="__connect.errors.exception.class.name")
    message: str = Field(alias="__connect.errors.exception.message")


class DeadLetterHeaders(BaseModel):
    """The headers of a record on `webhooks.dead`: whose it was, and why. The alert is the value."""

    model_config = ConfigDict(frozen=True, extra="allow")

    subscription: str = Field(
        alias="drawdown-subscription", description="empty: what is no alert is nobody's"
    )
    cause: Literal["exhausted", "overflow", "too_large", "invalid"] = Field(
        alias="drawdown-cause",
        description="every attempt failed; too many wait; larger than is sent; no alert at all",
    )
    answer: str = Field(alias="drawdown-answer", description="of the last attempt, if any")
    attempts: str = Field(alias="drawdown-attempts", description="how many were made")
    logged: Instant = Field(alias="drawdown-logged", description="when the log took the alert")
    at: Instant = Field(alias="drawdown-at", description="when it was given up")
