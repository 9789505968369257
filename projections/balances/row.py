"""The balance row: all that drawdown keeps of one account, and its conservation.

Amounts are units of 10^-9 credits. The encoding is canonical: equal rows have equal bytes. It is
JSON, whose integers have no bound, so that a person can read a row with any Redis client.
"""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal

from schemas.documents import DEFAULT_THRESHOLDS, Account, Grant, parse_document
from schemas.numbers import Credits
from schemas.times import parse_duration

State = Literal["scheduled", "active", "expired"]
ROW_VERSION: Final = 1


@dataclass(slots=True)
class GrantRow:
    """One grant: its terms, and where its credits are.

    `known_at` is journal time when it was applied, `digest` that of its document.
    """

    id: str
    type: Literal["prepaid", "promotional"]
    issued: int
    effective_at: int
    expires_at: int | None
    priority: int
    products: tuple[str, ...] | None
    known_at: int
    digest: str
    state: State
    remaining: int
    consumed: int = 0
    expired: int = 0
    rolled_over: int = 0
    voided: int = 0
    refunded: int = 0
    encoded_terms: str | None = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class BalanceRow:
    """One account. `fired` holds the (rule, threshold) that are not armed; `plan` is not stored."""

    account: str
    document: str
    clock: int
    overage: int = 0
    above_zero: bool = False
    grants: list[GrantRow] = field(default_factory=list)
    fired: set[tuple[str, str]] = field(default_factory=set)
    plan: Any = field(default=None, compare=False, repr=False)

    @property
    def available(self) -> int:
        """What remains of the active grants."""
        return sum(grant.remaining for grant in self.grants if grant.state == "active")


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule; thresholds as (text, units), the mildest first."""

    id: str
    measure: str
    thresholds: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What an account's document says to drawdown."""

    time_zone: str
    late_grace: int
    rules: tuple[Rule, ...]


@lru_cache(maxsize=65_536)
def terms_of(document: str) -> Terms:
    """The terms of a canonical account document."""
    account = parse_document(document.encode())
    assert isinstance(account, Account), document
    rules = [(rule.id, rule.measure, rule.thresholds) for rule in account.alerts or ()]
    if account.alerts is None:
        default = tuple(Credits.parse(text) for text in DEFAULT_THRESHOLDS)
        rules = [("default", "consumed_percent", default)]
    return Terms(
        account.time_zone,
        parse_duration(account.late_grace).microseconds,
        tuple(
            Rule(
                name,
                measure,
                tuple(
                    (str(value), value.units)
                    for value in sorted(thresholds, reverse=not measure.startswith("consumed"))
                ),
            )
            for name, measure, thresholds in rules
        ),
    )


def new_grant(grant: Grant, digest: str, known_at: int, state: State) -> GrantRow:
    """The row of a grant that was just applied, all of it remaining."""
    return GrantRow(
        id=grant.id,
        type=grant.type,
        issued=grant.amount.units,
        effective_at=grant.effective_at,
        expires_at=grant.expires_at,
        priority=grant.priority,
        products=grant.products,
        known_at=known_at,
        digest=digest,
        state=state,
        remaining=grant.amount.units,
    )


def next_due(row: BalanceRow) -> int | None:
    """The earliest instant at which something is due for the account; None for nothing."""
    due = None
    for grant in row.grants:
        if grant.state == "expired":
            continue
        at = grant.effective_at if grant.state == "scheduled" else grant.expires_at
        if at is not None and (due is None or at < due):
            due = at
    return due


def check_conservation(row: BalanceRow) -> list[str]:
    """Every breach of conservation (I3), as a sentence; empty when there is none."""
    breaches = []
    for grant in row.grants:
        parts = (
            grant.consumed,
            grant.expired,
            grant.rolled_over,
            grant.voided,
            grant.refunded,
            grant.remaining,
        )
        if sum(parts) != grant.issued:
            breaches.append(f"{row.account}/{grant.id}: issued {grant.issued}, found {sum(parts)}")
        if min(parts) < 0:
            breaches.append(f"{row.account}/{grant.id}: a negative part in {parts}")
    return breaches


_STATES: Final[tuple[State, ...]] = ("scheduled", "active", "expired")
_TYPES: Final[tuple[Literal["prepaid", "promotional"], ...]] = ("prepaid", "promotional")


def encode_row(row: BalanceRow) -> bytes:
    """The canonical bytes of a row."""
    fired = _compact(sorted(row.fired)) if row.fired else "[]"
    grants = ",".join([_encode_grant(grant) for grant in row.grants])
    return (
        f"[{ROW_VERSION},{_quoted(row.account)},{_quoted(row.document)},{row.clock},"
        f"{row.overage},{int(row.above_zero)},{fired},[{grants}]]"
    ).encode()


def _encode_grant(grant: GrantRow) -> str:
    terms = grant.encoded_terms
    if terms is None:
        terms = grant.encoded_terms = _encode_terms(grant)
    return (
        f"[{terms},{_STATES.index(grant.state)},{grant.remaining},{grant.consumed},"
        f"{grant.expired},{grant.rolled_over},{grant.voided},{grant.refunded}]"
    )


def _encode_terms(grant: GrantRow) -> str:
    """What never changes of a grant, encoded once: most of a row's bytes."""
    terms = [
        grant.id,
        _TYPES.index(grant.type),
        grant.issued,
        grant.effective_at,
        grant.expires_at,
        grant.priority,
        grant.products,
        grant.known_at,
        grant.digest,
    ]
    return _compact(terms)[1:-1]


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@lru_cache(maxsize=65_536)
def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def decode_row(raw: bytes) -> BalanceRow:
    """The inverse of `encode_row`."""
    version, account, document, clock, overage, above_zero, fired, grants = json.loads(raw)
    assert version == ROW_VERSION, version
    return BalanceRow(
        account,
        document,
        clock,
        overage,
        bool(above_zero),
        [_decode_grant(grant) for grant in grants],
        {(rule, threshold) for rule, threshold in fired},
    )


def _decode_grant(wire: list[Any]) -> GrantRow:
    name, kind, issued, effective_at, expires_at, priority, products, known_at, digest, *rest = wire
    return GrantRow(
        name,
        _TYPES[kind],
        issued,
        effective_at,
        expires_at,
        priority,
        None if products is None else tuple(products),
        known_at,
        digest,
        _STATES[rest[0]],
        *rest[1:],
    )
