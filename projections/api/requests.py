"""The shapes of requests, and of problems, as the OpenAPI document tells them."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from schemas.documents.fields import HoldTime, Id, PositiveCredits, Strict
from schemas.numbers import Quantity
from schemas.times import Instant


class CheckRequest(Strict):
    """May the account use so much now? `quantity` is the line's, `time` the event's."""

    account: Id
    product: Id
    quantity: Quantity
    data: Any = None
    contract: Id | None = None
    time: Instant | None = None


class HoldRequest(Strict):
    """Reserve credits. The id makes a retry safe; without one the Idempotency-Key is it."""

    account: Id
    product: Id
    amount: PositiveCredits
    contract: Id | None = None
    expires_in: HoldTime = "PT15M"
    id: Id | None = None


class CaptureRequest(Strict):
    """Consume what is held: `amount` of it, or all; the rest is free again."""

    amount: PositiveCredits | None = None
    id: Id | None = None


class ReleaseRequest(Strict):
    """What is held is free again."""

    id: Id | None = None


class Problem(BaseModel):
    """RFC 9457. `reason` is a code of the closed table where there is one."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    reason: str | None = None
