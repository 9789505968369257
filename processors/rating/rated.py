"""Events as rating takes them, and rated rows as the plain reference makes them."""

from dataclasses import dataclass

from schemas.frames import RatedKind


@dataclass(frozen=True, slots=True)
class Event:
    """A usage event: its key, and what prices it. `contract` is the one that it names."""

    account: str
    source: str
    id: str
    type: str
    time: int
    contract: str | None
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Rated:
    """One rated row; the fields are the columns of RATED_SCHEMA, amounts in units."""

    journal_offset: int
    row: int
    ordinal: int
    kind: RatedKind
    at: int
    account: str | None = None
    source: str | None = None
    id: str | None = None
    time: int | None = None
    product: str | None = None
    contract: str | None = None
    named: bool | None = None
    revision: int | None = None
    override: int | None = None
    rate_card: str | None = None
    version: int | None = None
    match: str | None = None
    period: int | None = None
    price: str | None = None
    quantity: int | None = None
    before: int | None = None
    unit_price: int | None = None
    cost: int | None = None
    entities: str | None = None
    mirror: str | None = None
    reason: str | None = None
    data: bytes | None = None
