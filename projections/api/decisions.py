"""The shapes of answers about what may be, was asked for and happened: checks, holds, documents."""

from typing import Annotated, Any, Literal

from pydantic import Field

from projections.api.models import Amount, Answer, Cursor, Position, Time, Token


class CheckPosition(Answer):
    """Where the rows of the two folds were read."""

    rating: Position
    balances: Position


class CheckAnswer(Answer):
    """The answer, as the line would be drawn at that position; `why` it is denied."""

    account: str
    product: str
    allowed: bool
    why: str | None
    available: Amount
    cost: Amount | None
    would_overage: Amount | None
    time: Time
    journal_time: Time
    partition: int
    position: CheckPosition


class SliceEntry(Answer):
    """What is, or was, held of a grant."""

    grant: str
    amount: Amount


class HoldEntry(Answer):
    """A hold. It expires by the log's clock."""

    id: str
    account: str
    product: str
    contract: str | None
    amount: Amount
    captured: Amount
    state: Literal["open", "captured", "released", "expired"]
    placed_at: Time
    expires_at: Time
    ended_at: Time | None
    slices: list[SliceEntry]


class HoldAnswer(Answer):
    """A hold, as of a position."""

    hold: HoldEntry
    partition: int
    position: Position


class HoldWritten(HoldAnswer):
    """A hold after a command; reads with `min_position` see it."""

    min_position: Token


class DocumentEntry(Answer):
    """A document that was checked or sent."""

    kind: str
    id: str
    account: str | None


class OutcomeEntry(DocumentEntry):
    """What became of a document; pending: not known yet."""

    outcome: Literal["applied", "refused", "pending"]
    reason: str | None
    detail: str | None


class DocumentsChecked(Answer):
    """A dry run: every document is well-formed, nothing was sent."""

    documents: list[DocumentEntry]


class DocumentsSent(Answer):
    """Every in-sync replica has them; reads with `min_position` see what became of them."""

    documents: list[DocumentEntry]
    min_position: Token


class DocumentsDecided(Answer):
    """What became of the documents, with `Prefer: wait=SECONDS`."""

    documents: list[OutcomeEntry]
    min_position: Token


class LedgerLine(Answer):
    """A posting: one transfer, of a line of usage or of a grant's life."""

    position: Position
    at: Time
    posting: str
    grant: str | None
    amount: Amount
    source: str | None
    event: str | None
    time: Time | None
    product: str | None
    contract: str | None
    revision: int | None
    override: int | None
    rate_card: str | None
    version: int | None
    match: str | None
    period: Time | None
    price: str | None
    quantity: Amount | None
    cost: Amount | None
    entities: str | None
    unauthorised: bool | None
    reference: str | None


class LedgerPage(Answer):
    """Postings of an account up to a position. Pages may be short: a cursor says there is more."""

    lines: list[LedgerLine]
    partition: int
    position: Position
    next_cursor: Cursor


class AlertsPage(Answer):
    """Alerts as CloudEvents. Drop repeats by id: one may come again on another page."""

    alerts: list[dict[str, Any]]
    partition: int
    end: Annotated[int, Field(description="the end of the partition's alerts when it was read")]
    next_cursor: Cursor
