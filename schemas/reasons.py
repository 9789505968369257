"""Why an input is refused: the one closed table of reason codes.

An expected refusal is a value, not an exception. `Reason`s are listed in the order of their
precedence: where several apply to one record, the first is given. Of a document every fault is
given.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Stable strings: they stand in topics, metrics and customers' scripts."""

    # the front door: who sends it
    FORBIDDEN = "forbidden"
    # admission: the record itself
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    MALFORMED_JSON = "malformed_json"
    TOO_DEEP = "too_deep"
    INVALID_ENVELOPE = "invalid_envelope"
    UNSUPPORTED = "unsupported"
    MISROUTED = "misrouted"
    FORWARDED = "forwarded"
    BAD_TIMESTAMP = "bad_timestamp"
    TOO_OLD = "too_old"
    TOO_EARLY = "too_early"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    # documents
    UNKNOWN_KIND = "unknown_kind"
    INVALID_DOCUMENT = "invalid_document"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_PRODUCT = "unknown_product"
    UNKNOWN_CONTRACT = "unknown_contract"
    UNKNOWN_GRANT = "unknown_grant"
    UNKNOWN_PACK = "unknown_pack"
    UNKNOWN_USAGE = "unknown_usage"
    UNKNOWN_REQUEST = "unknown_request"
    UNKNOWN_HOLD = "unknown_hold"
    IMMUTABLE_VERSION = "immutable_version"
    OUT_OF_ORDER = "out_of_order"
    ALREADY_RATED = "already_rated"
    NOT_PENDING = "not_pending"
    BELOW_CONSUMED = "below_consumed"
    EXCEEDS_OVERAGE = "exceeds_overage"
    HOLD_ENDED = "hold_ended"
    EXCEEDS_HOLD = "exceeds_hold"
    TOO_MANY_HOLDS = "too_many_holds"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    # rating
    NEGATIVE_QUANTITY = "negative_quantity"
    NO_PRODUCT = "no_product"
    BAD_VALUE = "bad_value"
    NO_RATE_CARD = "no_rate_card"
    UNKNOWN_RATE_CARD = "unknown_rate_card"
    NO_VERSION = "no_version"
    NO_RATE = "no_rate"
    COST_OUT_OF_RANGE = "cost_out_of_range"


DESCRIPTIONS: Final[dict[Reason, str]] = {
    Reason.FORBIDDEN: "the API key may not send for this source or account",
    Reason.TOO_LARGE: "the record is larger than 1 MB: send less in `data`",
    Reason.NOT_UTF8: "the bytes are not valid UTF-8",
    Reason.MALFORMED_JSON: "the bytes are not one JSON value",
    Reason.TOO_DEEP: "the JSON is nested deeper than 64 levels (32 in a document)",
    Reason.INVALID_ENVELOPE: "a CloudEvents attribute is missing or wrong",
    Reason.UNSUPPORTED: "a field or value that this release does not support yet",
    Reason.MISROUTED: "the record's account does not belong to the partition it was sent to",
    Reason.FORWARDED: "sent to the partition of its account; it is decided there",
    Reason.BAD_TIMESTAMP: "the broker's timestamp lies ahead of the clock",
    Reason.TOO_OLD: "the event time lies before the acceptance window: use backfill",
    Reason.TOO_EARLY: "the event time lies after the acceptance window",
    Reason.DUPLICATE: "this (subject, source, id) was accepted before with the same content",
    Reason.CONFLICT: "the same identity was accepted before with other content; the first stands",
    Reason.UNKNOWN_KIND: "no document or command of this kind exists",
    Reason.INVALID_DOCUMENT: "a field is missing, unknown or wrong",
    Reason.UNKNOWN_ACCOUNT: "no account document came before it",
    Reason.UNKNOWN_PRODUCT: "the catalog holds no such product",
    Reason.UNKNOWN_CONTRACT: "the account has no such contract",
    Reason.UNKNOWN_GRANT: "the account has no such grant",
    Reason.UNKNOWN_PACK: "the catalog holds no such pack",
    Reason.UNKNOWN_USAGE: "the account has no such usage",
    Reason.UNKNOWN_REQUEST: "no top-up request of this id is in flight",
    Reason.UNKNOWN_HOLD: "the account has no such hold, or it ended more than a day ago",
    Reason.IMMUTABLE_VERSION: "a version in effect can only gain rates for further products",
    Reason.OUT_OF_ORDER: "it would take effect before the contract's latest revision",
    Reason.ALREADY_RATED: "the usage was priced meanwhile",
    Reason.NOT_PENDING: "the grant does not wait for its funding",
    Reason.BELOW_CONSUMED: "the grant would have less than was consumed and is held of it",
    Reason.EXCEEDS_OVERAGE: "it settles more overage than there is",
    Reason.HOLD_ENDED: "the hold was captured, released or has expired",
    Reason.EXCEEDS_HOLD: "it captures more than is held",
    Reason.TOO_MANY_HOLDS: "the account has 10,000 open holds",
    Reason.INSUFFICIENT_CREDITS: "the grants that could pay hold less than is to be reserved",
    Reason.NEGATIVE_QUANTITY: "a metered value is negative",
    Reason.NO_PRODUCT: "no product meters this event type",
    Reason.BAD_VALUE: "the metered value is missing or not an exact number",
    Reason.NO_RATE_CARD: "the account has no rate card",
    Reason.UNKNOWN_RATE_CARD: "the account's rate card is not in the catalog",
    Reason.NO_VERSION: "no version of the rate card was in effect at the event's time",
    Reason.NO_RATE: "no rate matches the product and the event's dimensions",
    Reason.COST_OUT_OF_RANGE: "the cost or the period's quantity is beyond 10^18",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An input that was refused: the code, what exactly was wrong, and where in the input."""

    reason: Reason
    detail: str
    path: str | None = None
