"""The run of a scenario: admission's decisions in memory, then the real folds. Pure.

Each entry lets time pass first (a tick: everything due happens, for every account) and then takes
its place in the journal, unless it is refused: outside the time window, a negative quantity, a
`duplicate`, a `conflict` (credits.md section 9). A key is remembered for the whole scenario.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from deploy.reading.recompute import fold_plainly, rate_plainly
from deploy.simulate.scenario import Entry
from processors.admission.envelope import Usage
from processors.admission.metered import Metered
from processors.admission.window import Window
from processors.rating.columnar import rate
from processors.rating.rows import RatingRow
from processors.rating.rows import decode_row as decode_rating
from processors.rating.rows import encode_row as encode_rating
from projections.balances.alerts import Alert
from projections.balances.columnar import fold
from projections.balances.row import BalanceRow, decode_row, encode_row, next_due
from projections.rows import MemoryReader, Rows
from schemas.documents import Account, Document, Grant, Product, RateCard, canonical
from schemas.frames import JOURNAL_SCHEMA, JournalKind, RatedKind
from schemas.reasons import Reason
from schemas.times import parse_duration

WINDOW: Final = Window(parse_duration("P3D").microseconds, parse_duration("PT5M").microseconds)
"""The time window of credits.md section 9: `max_event_age`, `max_event_lead`."""
_TICK_ROW: Final = 0
_ENTRY_ROW: Final = 1
_PLACED: Final = pl.Schema({**JOURNAL_SCHEMA, "journal_offset": pl.Int64(), "row": pl.Int64()})
Key = tuple[str, str, str]
Content = tuple[str, bytes | None]
"""The fingerprint: type and the bytes of `data`, not the time."""


@dataclass
class Outcome:
    """What came of a scenario. A journal offset is the index of its entry."""

    rated: pl.DataFrame
    ledger: pl.DataFrame
    alerts: list[Alert]
    rejected: dict[int, Reason]
    accounts: dict[str, BalanceRow]


def run(entries: list[Entry], *, reference: bool = False) -> Outcome:
    """Let `entries` happen; with `reference`, by the plain folds instead of the columnar ones."""
    running = _Running(reference)
    for index, entry in enumerate(entries):
        running.take(index, entry)
    return running.fold()


@dataclass
class _Running:
    reference: bool
    pending: list[dict[str, Any]] = field(default_factory=list)
    metered: Metered = field(default_factory=Metered)
    claims: dict[Key, Content] = field(default_factory=dict)
    rejected: dict[int, Reason] = field(default_factory=dict)

    def take(self, index: int, entry: Entry) -> None:
        """Time passes up to the entry; then it is journalled or refused."""
        tick = {"kind": int(JournalKind.TICK), "row": _TICK_ROW}
        self.pending.append({**tick, "received_at": entry.at, "journal_offset": index})
        if entry.what is None:
            return
        reason = None
        if isinstance(entry.what, Usage):
            reason = self._refuse(entry.what, entry.at)
        elif isinstance(entry.what, Product | RateCard):
            self.metered.apply(index, canonical(entry.what))
        if reason is not None:
            self.rejected[index] = reason
            return
        placed = {"received_at": entry.at, "journal_offset": index, "row": _ENTRY_ROW}
        self.pending.append({**_journalled(entry.what), **placed})

    def _refuse(self, usage: Usage, at: int) -> Reason | None:
        """Why the usage is refused, else None: then it has claimed its key."""
        refusal = WINDOW.refuse(usage.time, at) or self.metered.refuse(usage)
        if refusal is not None:
            return refusal.reason
        key, content = (usage.account, usage.source, usage.id), (usage.type, usage.data)
        if key not in self.claims:
            self.claims[key] = content
            return None
        return Reason.DUPLICATE if self.claims[key] == content else Reason.CONFLICT

    def fold(self) -> Outcome:
        """Rate and draw down what was taken."""
        journal = pl.DataFrame(self.pending, schema=_PLACED)
        rating_rows: Rows[RatingRow] = Rows(MemoryReader(), encode_rating, decode_rating)
        balances = MemoryReader()
        balance_rows: Rows[BalanceRow] = Rows(balances, encode_row, decode_row, next_due)
        rated, _ = (rate_plainly if self.reference else rate)(journal, 0, rating_rows)
        folded = (fold_plainly if self.reference else fold)(rated, balance_rows)
        balances.commit(balance_rows.take_changes())
        refused = rated.filter(pl.col("kind") == int(RatedKind.REFUSED))
        for row in refused.iter_rows(named=True):
            self.rejected[row["journal_offset"]] = Reason(row["reason"])
        for late in folded.refused:
            self.rejected[late.journal_offset] = Reason(late.reason)
        accounts = {name: decode_row(raw) for name, raw in balances.rows.items()}
        return Outcome(rated, folded.ledger, folded.alerts, self.rejected, accounts)


def _journalled(what: Usage | Document) -> dict[str, Any]:
    """The columns of a journal row that say what it is."""
    if isinstance(what, Usage):
        columns = {name: getattr(what, name) for name in what.__struct_fields__}
        return {**columns, "kind": int(JournalKind.USAGE)}
    if isinstance(what, Account | Grant):
        account = what.id if isinstance(what, Account) else what.account
        return {"kind": int(JournalKind.CREDITS), "account": account, "data": canonical(what)}
    return {"kind": int(JournalKind.CATALOG), "data": canonical(what)}
