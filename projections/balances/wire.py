"""The canonical bytes of the balance rows: equal rows have equal bytes.

JSON, whose integers have no bound, so that a person can read a row with any Redis client. A row is
a list that begins with its version and kind: the lowest version that can say it, so that a row that
holds nothing new has the bytes that it had. A hot row is written with every commit: what one line
may move stands first, and the text of the rest is kept until the row goes the slow way.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec

from projections.balances.hold_rows import HoldRow, OpenHoldsRow, hold_of, open_holds_of
from projections.balances.row import (
    BalanceRow,
    GrantRow,
    GrantTerms,
    Owed,
    Scope,
    State,
    TermsRow,
    TopUp,
)
from projections.contracts import Lineage
from schemas.errors import ReleaseError, newer

ROW_VERSION: Final = 3
"""Version 3 has holds; what holds nothing is written as version 2 was."""
_BEFORE_HOLDS: Final = 2
_STATES: Final[tuple[State, ...]] = (
    "pending",
    "scheduled",
    "active",
    "expired",
    "voided",
    "refunded",
    "closed",
    "lapsed",
)


@dataclass(slots=True)
class TallyRow:
    """What a key drained net: `drawn` by grant, the latest last, and its overage.

    `short` is that overage before the multiplier. Negative: a credit for the next overage. A line
    whose price is not cumulative is taken back by its own void alone, which carries what it drew:
    of such lines only overage stands here, and what a grant repaid of it.
    """

    overage: int = 0
    short: int = 0
    drawn: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class LimitRow:
    """What one entity used of a limit in one period."""

    used: int = 0
    reached: bool = False


@dataclass(slots=True)
class RetiredRow:
    """A grant that nothing reaches any more; `before` is the one that was retired before it."""

    grant: GrantRow
    before: str | None


@dataclass(slots=True)
class CommandRow:
    """A command that was applied: the digest of its content."""

    digest: str


@dataclass(slots=True)
class CatalogRow:
    """What drawdown needs of the catalog: the tags of products, and packs as documents."""

    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    packs: dict[str, str] = field(default_factory=dict)


AnyRow = (
    BalanceRow
    | TermsRow
    | TallyRow
    | LimitRow
    | RetiredRow
    | CommandRow
    | HoldRow
    | OpenHoldsRow
    | CatalogRow
)


def encode_row(row: AnyRow) -> bytes:
    """The canonical bytes of a row."""
    return _ENCODERS[type(row)](row).encode()


def decode_row(raw: bytes) -> AnyRow:
    """The inverse of `encode_row`; a hot row's terms are linked by `Books`. Raises ReleaseError."""
    version, kind, *parts = _json.decode(raw.decode())
    if version > ROW_VERSION or kind not in _DECODERS:
        raise newer(f"a balance row {kind!r} of version {version}, known up to {ROW_VERSION}")
    if version < _BEFORE_HOLDS:
        raise ReleaseError(f"a balance row of version {version}: `drawdown rebuild` makes it anew")
    return _DECODERS[kind](parts)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _row(kind: str, *parts: object, version: int = _BEFORE_HOLDS) -> str:
    return _compact([version, kind, *parts])


def _encode_hot(row: BalanceRow) -> str:
    if row.settled is None:
        row.settled = _settled(row)
    grants = ",".join([f"{grant.remaining},{grant.consumed}" for grant in row.grants])
    scopes = ",".join(
        [f"{scope.overage},{scope.added},{scope.spent}" for scope in row.scopes.values()]
    )
    owed = ",".join([str(owed.amount) for owed in row.owed.values()])
    version = _BEFORE_HOLDS if row.holds_until is None else ROW_VERSION
    head = f'{version},"b",{_quoted(row.account)},{row.clock}'
    return f"[{head},[{grants}],[{scopes}],[{owed}],{row.settled}]"


@lru_cache(maxsize=65_536)
def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _settled(row: BalanceRow) -> str:
    """All that no quick line moves."""
    return _compact(
        [
            row.due,
            row.issued_grants,
            [row.retired, row.retired_consumed, row.last_retired],
            [
                [
                    grant.id,
                    _STATES.index(grant.state),
                    grant.issued,
                    grant.expired,
                    grant.rolled_over,
                    grant.voided,
                    grant.refunded,
                    grant.ended_at,
                    *_held(grant),
                ]
                for grant in row.grants
            ],
            [[name, *_scope(scope)] for name, scope in row.scopes.items()],
            [[*key, owed.product] for key, owed in row.owed.items()],
            [[*key, int(said)] for key, said in sorted(row.fired.items())],
            [[*key, day] for key, day in sorted(row.told.items())],
            *_holds(row),
        ]
    )


def _held(grant: GrantRow) -> Iterator[int]:
    if grant.held:
        yield grant.held


def _holds(row: BalanceRow) -> Iterator[int]:
    if row.holds_until is not None:
        yield row.holds_until


def _scope(scope: Scope) -> list[object]:
    return [
        scope.started_at,
        scope.period_end,
        int(scope.capped),
        scope.issued,
        int(scope.above_zero),
        scope.today,
        scope.first_day,
        scope.days,
        scope.revision,
        int(scope.ended),
        scope.seats,
        scope.next,
        scope.last,
        None if scope.top_up is None else list(astuple(scope.top_up)),
    ]


def _decode_hot(parts: list[Any]) -> BalanceRow:
    account, clock, moved, counted, amounts, rest = parts
    due, issued, retired, grants, scopes, owed, fired, told, *holds = rest
    row = BalanceRow(account, clock, TermsRow(""), due, issued, *retired)
    for at, of_grant in enumerate(grants):
        row.grants.append(_decode_grant(of_grant, *moved[2 * at : 2 * at + 2]))
    for at, (name, *rest_of_scope) in enumerate(scopes):
        row.scopes[name] = _decode_scope(counted[3 * at : 3 * at + 3], rest_of_scope)
    for (*place, product), amount in zip(owed, amounts, strict=True):
        row.owed[tuple(place)] = Owed(product, amount)
    row.fired = {tuple(key): bool(said) for *key, said in fired}
    row.told = {tuple(key): day for *key, day in told}
    row.holds_until = holds[0] if holds else None
    return row


def _decode_grant(parts: list[Any], remaining: int, consumed: int) -> GrantRow:
    name, state, issued, expired, rolled, voided, refunded, ended_at, *held = parts
    spread = (remaining, consumed, expired, rolled, voided, refunded, ended_at)
    return GrantRow(name, _STATES[state], issued, *spread, *held)


def _decode_scope(counted: list[int], others: list[Any]) -> Scope:
    started, end, capped, issued, above, today, first, days, *rest = others
    revision, ended, seats, due, last, top_up = rest
    overage, added, spent = counted
    return Scope(
        overage,
        added,
        spent,
        started,
        end,
        bool(capped),
        issued,
        bool(above),
        today,
        first,
        [(day, cost) for day, cost in days],
        revision,
        bool(ended),
        seats,
        due,
        last,
        None if top_up is None else TopUp(*top_up),
    )


def _encode_terms(row: TermsRow) -> str:
    contracts = {name: msgspec.to_builtins(lineage) for name, lineage in row.contracts.items()}
    grants = [_terms(terms) for terms in row.grants.values()]
    return _row("t", row.document, contracts, grants)


_of_terms: Final = attrgetter(*(part.name for part in fields(GrantTerms)))


def _terms(terms: GrantTerms) -> tuple[object, ...]:
    found: tuple[object, ...] = _of_terms(terms)
    return found


def _decode_terms(parts: list[Any]) -> TermsRow:
    document, contracts, grants = parts
    terms = [_decode_grant_terms(wire) for wire in grants]
    return TermsRow(
        document,
        {name: msgspec.convert(lineage, Lineage) for name, lineage in contracts.items()},
        {grant.id: grant for grant in terms},
    )


def _decode_grant_terms(wire: list[Any]) -> GrantTerms:
    terms = GrantTerms(*wire)
    terms.products = None if terms.products is None else tuple(terms.products)
    terms.tags = None if terms.tags is None else tuple(terms.tags)
    return terms


def _encode_retired(row: RetiredRow) -> str:
    grant = row.grant
    amounts = [
        grant.id,
        _STATES.index(grant.state),
        grant.issued,
        grant.remaining,
        grant.consumed,
        grant.expired,
        grant.rolled_over,
        grant.voided,
        grant.refunded,
        grant.ended_at,
    ]
    return _row("g", amounts, _terms(grant.terms), row.before)


def _decode_retired(parts: list[Any]) -> RetiredRow:
    (name, state, *amounts, ended_at), terms, before = parts
    issued, remaining, consumed, expired, rolled, voided, refunded = amounts
    spread = (remaining, consumed, expired, rolled, voided, refunded)
    grant = GrantRow(name, _STATES[state], issued, *spread, ended_at)
    grant.terms = _decode_grant_terms(terms)
    return RetiredRow(grant, before)


def _encode_tally(row: TallyRow) -> str:
    drawn = ",".join([f"[{_quoted(name)},{amount}]" for name, amount in row.drawn.items()])
    return f'[{_BEFORE_HOLDS},"k",{row.overage},{row.short},[{drawn}]]'


_json: Final = json.JSONDecoder()
_ENCODERS: Final[dict[type, Callable[[Any], str]]] = {
    BalanceRow: _encode_hot,
    TermsRow: _encode_terms,
    TallyRow: _encode_tally,
    LimitRow: lambda row: _row("l", row.used, int(row.reached)),
    RetiredRow: _encode_retired,
    CommandRow: lambda row: _row("m", row.digest),
    HoldRow: lambda row: _row("h", *astuple(row), version=ROW_VERSION),
    OpenHoldsRow: lambda row: _row("o", row.ends, version=ROW_VERSION),
    CatalogRow: lambda row: _row("c", row.tags, row.packs),
}
_DECODERS: Final[dict[str, Callable[[list[Any]], AnyRow]]] = {
    "b": _decode_hot,
    "t": _decode_terms,
    "k": lambda parts: TallyRow(parts[0], parts[1], dict(parts[2])),
    "l": lambda parts: LimitRow(parts[0], bool(parts[1])),
    "g": _decode_retired,
    "m": lambda parts: CommandRow(*parts),
    "h": hold_of,
    "o": open_holds_of,
    "c": lambda parts: CatalogRow({name: tuple(tags) for name, tags in parts[0].items()}, parts[1]),
}
