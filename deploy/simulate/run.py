"""The run of a scenario: admission's decisions in memory, then the real folds. Pure.

Each entry lets time pass first (a tick: everything due happens, for every account) and then takes
its place in the journal, unless it is refused: outside the time window, a negative quantity, a
`duplicate`, a `conflict` (credits.md section 9). A key is remembered for the whole scenario, also
one that a backfill brought. What was taken is folded in one piece at the end, but where a command
asks what became of what went before it: where it is cut changes nothing (I5).
"""

from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from deploy.simulate.folds import Folds
from deploy.simulate.scenario import Entry
from processors.admission.metered import Metered
from processors.admission.window import Window
from projections.balances.alerts import Alert
from projections.balances.recorded import as_recorded
from projections.balances.row import BalanceRow, GrantRow
from schemas.documents import (
    Account,
    Backfill,
    Document,
    Pack,
    Product,
    RateCard,
    VoidUsage,
    canonical,
)
from schemas.envelope import Usage, decode_structured
from schemas.frames import JournalKind
from schemas.reasons import Reason
from schemas.times import parse_duration

WINDOW: Final = Window(parse_duration("P3D").microseconds, parse_duration("PT5M").microseconds)
"""The time window of credits.md section 9: `max_event_age`, `max_event_lead`."""
_TICK_ROW: Final = 0
_ENTRY_ROW: Final = 1
Key = tuple[str, str, str]
Content = tuple[str, str | None, bytes | None]
"""The fingerprint: type, contract and the bytes of `data`, not the time."""


@dataclass
class Outcome:
    """What came of a scenario. A journal offset is the index of its entry.

    `retired`, by account, are the grants that have left its row.
    """

    rated: pl.DataFrame
    ledger: pl.DataFrame
    alerts: list[Alert]
    rejected: dict[int, Reason]
    accounts: dict[str, BalanceRow]
    retired: dict[str, list[GrantRow]]


def run(entries: list[Entry], *, reference: bool = False) -> Outcome:
    """Let `entries` happen; with `reference`, by the plain folds instead of the columnar ones."""
    running = Running(Folds(reference))
    for index, entry in enumerate(entries):
        running.take(index, entry)
    return running.outcome()


@dataclass
class Running:
    """A run under way."""

    folds: Folds
    pending: list[dict[str, Any]] = field(default_factory=list)
    metered: Metered = field(default_factory=Metered)
    claims: dict[Key, Content] = field(default_factory=dict)
    backfilled: set[tuple[str, str]] = field(default_factory=set)
    rejected: dict[int, Reason] = field(default_factory=dict)

    def take(self, index: int, entry: Entry) -> None:
        """Time passes up to the entry; then it is journalled or refused."""
        self._place(index, entry, _TICK_ROW, {"kind": int(JournalKind.TICK)})
        what = entry.what
        if what is None:
            return
        if isinstance(what, VoidUsage):
            self.fold()
            what = as_recorded(what, self.folds.ledger())
        elif isinstance(what, Backfill):
            self._take_backfill(index, entry, what)
            return
        elif isinstance(what, Product | RateCard | Pack):
            self.metered.apply(index, canonical(what))
        reason = self._refuse(what, entry.at) if isinstance(what, Usage) else None
        if reason is None:
            self._place(index, entry, _ENTRY_ROW, _journalled(what))
        else:
            self.rejected[index] = reason

    def _refuse(self, usage: Usage, at: int) -> Reason | None:
        """Why the usage is refused, else None: then it has claimed its key."""
        refusal = WINDOW.refuse(usage.time, at) or self.metered.refuse(usage)
        return refusal.reason if refusal is not None else self._claim(usage)

    def _claim(self, usage: Usage) -> Reason | None:
        key, content = _key(usage), (usage.type, usage.contract, usage.data)
        if key not in self.claims:
            self.claims[key] = content
            return None
        return Reason.DUPLICATE if self.claims[key] == content else Reason.CONFLICT

    def _take_backfill(self, index: int, entry: Entry, command: Backfill) -> None:
        """Usage of any age, which claims its key too, unless rating refuses it.

        The same command again claims nothing: it changes nothing, or rating finds a conflict.
        """
        identity = command.account, command.id
        if identity in self.backfilled:
            self._place(index, entry, _ENTRY_ROW, _journalled(command))
            return
        usage = decode_structured(command.event.encode())
        reason = None
        if isinstance(usage, Usage):
            early = WINDOW.refuse_early(usage.time, entry.at)
            reason = self._claim(usage) if early is None else early.reason
        if reason is not None:
            self.rejected[index] = reason
            return
        self._place(index, entry, _ENTRY_ROW, _journalled(command))
        self.fold()
        if index not in self.rejected:
            self.backfilled.add(identity)
        elif isinstance(usage, Usage):
            del self.claims[_key(usage)]

    def _place(self, index: int, entry: Entry, row: int, columns: dict[str, Any]) -> None:
        placed = {"received_at": entry.at, "journal_offset": index, "row": row}
        self.pending.append({**columns, **placed})

    def fold(self) -> None:
        """Rate and draw down what was taken since the last time."""
        if self.pending:
            self.rejected.update(self.folds.fold(self.pending))
            self.pending.clear()

    def outcome(self) -> Outcome:
        """What came of all of it."""
        self.fold()
        folds, accounts = self.folds, self.folds.accounts()
        return Outcome(
            folds.rated(),
            folds.ledger(),
            folds.alerts,
            self.rejected,
            accounts,
            {name: folds.retired(name) for name in accounts},
        )


def _key(usage: Usage) -> Key:
    return usage.account, usage.source, usage.id


def _journalled(what: Usage | Document) -> dict[str, Any]:
    """The columns of a journal row that say what it is."""
    if isinstance(what, Usage):
        columns = {name: getattr(what, name) for name in what.__struct_fields__}
        return {**columns, "kind": int(JournalKind.USAGE)}
    data = canonical(what)
    if isinstance(what, Product | RateCard | Pack):
        return {"kind": int(JournalKind.CATALOG), "data": data}
    account = what.id if isinstance(what, Account) else what.account
    return {"kind": int(JournalKind.CREDITS), "account": account, "data": data}
