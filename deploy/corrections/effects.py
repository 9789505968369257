"""What backfills would change: both folds go on with them, over a copy of the rows. Pure.

Shown before anything is sent, because a past period may have been invoiced: grants, overage,
alerts, and the billing periods that had ended.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from processors.rating.reference import ReferenceRating
from projections.balances.books import Books
from projections.balances.postings import OVERAGE
from projections.balances.reference import fold_row
from projections.balances.row import WALLET, BalanceRow
from projections.balances.step import Step
from projections.balances.terms import billing_period, terms_at
from projections.rates.rows import RatingRow, decode_row, encode_row
from projections.rows import RowReader, Rows
from schemas.documents import Backfill, canonical
from schemas.frames import JOURNAL_SCHEMA, RATED_SCHEMA, JournalKind, RatedKind
from schemas.numbers import CREDIT_DECIMALS, format_units
from schemas.times import format_instant

_BEYOND: Final = 1 << 62
"""A journal offset after all others: what it causes is never sent, so its place says nothing."""
_PARTS: Final = ("issued", "consumed", "expired", "voided", "refunded", "remaining")


@dataclass
class AccountEffects:
    """What changes for one account; amounts in units, those that change as (before, after)."""

    account: str
    events: int = 0
    cost: int = 0
    available: tuple[int, int] = (0, 0)
    overage: tuple[int, int] = (0, 0)
    grants: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    alerts: list[dict[str, str]] = field(default_factory=list)
    closed: dict[tuple[str, int, int], list[int]] = field(default_factory=dict)
    unrated: list[dict[str, str]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For `--json`, and for the table."""
        return {
            "account": self.account,
            "events": self.events,
            "cost": _text(self.cost),
            "available": _change(self.available),
            "overage": _change(self.overage),
            "grants": [
                {"grant": name, **{part: _change(pair) for part, pair in parts.items()}}
                for name, parts in self.grants.items()
            ],
            "alerts": self.alerts,
            "closed_periods": [
                {
                    "contract": scope or None,
                    "start": format_instant(start),
                    "end": format_instant(end),
                    "cost": _text(cost),
                    "overage": _text(overage),
                }
                for (scope, start, end), (cost, overage) in self.closed.items()
            ],
            "unrated": self.unrated,
            "refused": [{"id": name, "reason": why} for name, why in self.refused.items()],
        }


def effects_of(
    commands: Sequence[Backfill], rating: RowReader, balances: RowReader, clock: int
) -> list[AccountEffects]:
    """Fold the commands, in order, at journal time `clock`; the rows are read and never written.

    What is due by then is done first and is no effect of theirs.
    """
    return list(_Preview(rating, balances, clock).all(commands).values())


class _Preview:
    def __init__(self, rating: RowReader, balances: RowReader, clock: int) -> None:
        rows: Rows[RatingRow] = Rows(rating, encode_row, decode_row)
        self._rating = ReferenceRating(rows, clock)
        self._books, self._clock = Books(balances), clock
        self._found: dict[str, AccountEffects] = {}

    def all(self, commands: Sequence[Backfill]) -> dict[str, AccountEffects]:
        """Every account's effects, in order of first mention."""
        accounts = list(dict.fromkeys(command.account for command in commands))
        self._books.accounts(accounts)
        tick = dict.fromkeys(RATED_SCHEMA) | {"kind": int(RatedKind.TICK), "at": self._clock}
        fold_row(tick | {"journal_offset": _BEYOND, "row": 0, "ordinal": 0}, self._books, accounts)
        before = {name: _picture(self._books.account(name)) for name in accounts}
        for number, command in enumerate(commands):
            effects = self._found.setdefault(command.account, AccountEffects(command.account))
            self._take(command, number, effects)
        for name, effects in self._found.items():
            _compare(before[name], _picture(self._books.account(name)), effects)
        return self._found

    def _take(self, command: Backfill, number: int, effects: AccountEffects) -> None:
        journal = dict.fromkeys(JOURNAL_SCHEMA) | {
            "kind": int(JournalKind.CREDITS),
            "received_at": self._clock,
            "account": command.account,
            "data": canonical(command),
            "journal_offset": _BEYOND,
            "row": number,
        }
        effects.events += 1
        for rated in self._rating.rate(journal):
            line = {name: getattr(rated, name) for name in RATED_SCHEMA}
            if rated.kind == RatedKind.REFUSED:
                effects.refused[command.id] = line["reason"]
            elif rated.kind == RatedKind.UNRATED:
                effects.unrated.append(_named(line, ("source", "id", "product", "reason")))
            else:
                step = fold_row(line, self._books)
                effects.alerts += ({"type": each.type, **each.data()} for each in step.alerts)
                if rated.kind == RatedKind.LINE:
                    self._count(line, step, effects)

    def _count(self, line: Mapping[str, Any], step: Step, effects: AccountEffects) -> None:
        effects.cost += line["cost"]
        row = self._books.account(line["account"])
        assert row is not None, line
        scope = line["contract"] or WALLET
        terms = terms_at(row, scope, line["time"])
        start, end = billing_period(row, terms, line["time"])
        if end <= self._clock:
            sums = effects.closed.setdefault((scope, start, end), [0, 0])
            sums[0] += line["cost"]
            sums[1] += sum(_owed(step, line))


def _owed(step: Step, line: Mapping[str, Any]) -> Iterator[int]:
    """What a line's own postings add to the overage."""
    for posting in step.postings:
        if posting.line is line and posting.posting == OVERAGE:
            yield posting.amount


_Picture = tuple[int, int, dict[str, dict[str, int]]]


def _picture(row: BalanceRow | None) -> _Picture:
    """Available, overage and the parts of each grant."""
    if row is None:
        return 0, 0, {}
    grants = {grant.id: {name: getattr(grant, name) for name in _PARTS} for grant in row.grants}
    return row.available, row.overage, grants


def _compare(before: _Picture, after: _Picture, effects: AccountEffects) -> None:
    effects.available = before[0], after[0]
    effects.overage = before[1], after[1]
    for name, parts in after[2].items():
        old = before[2].get(name, dict.fromkeys(_PARTS, 0))
        moved = {part: (old[part], units) for part, units in parts.items() if old[part] != units}
        if moved:
            effects.grants[name] = moved


def _named(line: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    return {name: line[name] for name in names if line[name] is not None}


def _change(pair: tuple[int, int]) -> dict[str, str]:
    before, after = pair
    return {"before": _text(before), "after": _text(after)}


def _text(units: int) -> str:
    return format_units(units, CREDIT_DECIMALS)
