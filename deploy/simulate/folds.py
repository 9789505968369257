"""Rating and balances over memory, one after the other, piece by piece."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from deploy.reading.recompute import fold_plainly, rate_plainly
from processors.rating.columnar import rate
from projections.balances.alerts import Alert
from projections.balances.books import Books, hot_key, retired_key
from projections.balances.columnar import fold
from projections.balances.row import BalanceRow, GrantRow
from projections.rates.rows import RatingRow, decode_row, encode_row
from projections.rows import MemoryReader, Rows
from schemas.frames import JOURNAL_SCHEMA, LEDGER_SCHEMA, RATED_SCHEMA, RatedKind
from schemas.reasons import Reason

_PLACED: Final = pl.Schema({**JOURNAL_SCHEMA, "journal_offset": pl.Int64(), "row": pl.Int64()})


class Folds:
    """Both folds from the start of a log; with `reference`, the plain ones."""

    def __init__(self, reference: bool) -> None:
        self.alerts: list[Alert] = []
        self._rate = rate_plainly if reference else rate
        self._draw = fold_plainly if reference else fold
        self._clock = 0
        self._rating: Rows[RatingRow] = Rows(MemoryReader(), encode_row, decode_row)
        self._memory = MemoryReader()
        self._books = Books(self._memory)
        self._rated = [pl.DataFrame(schema=RATED_SCHEMA)]
        self._ledger = [pl.DataFrame(schema=LEDGER_SCHEMA)]

    def fold(self, journal: Sequence[Mapping[str, Any]]) -> dict[int, Reason]:
        """Go on with `journal`, placed rows; gives why what of it was refused, by its offset."""
        batch = pl.DataFrame(journal, schema=_PLACED)
        rated, self._clock = self._rate(batch, self._clock, self._rating)
        folded = self._draw(rated, self._books)
        self._memory.commit(self._books.rows.take_changes())
        self._rated.append(rated)
        self._ledger.append(folded.ledger)
        self.alerts.extend(folded.alerts)
        refused = rated.filter(pl.col("kind") == int(RatedKind.REFUSED))
        reasons = dict(refused.select("journal_offset", "reason").iter_rows())
        reasons |= {late.journal_offset: late.reason for late in folded.refused}
        return {offset: Reason(reason) for offset, reason in reasons.items()}

    def rated(self) -> pl.DataFrame:
        """All that was rated."""
        return pl.concat(self._rated)

    def ledger(self) -> pl.DataFrame:
        """All that was drawn."""
        return pl.concat(self._ledger)

    def accounts(self) -> dict[str, BalanceRow]:
        """Each account's row, by code point."""
        found = {}
        for name in self._named(hot_key("")):
            row = self._books.account(name)
            assert row is not None, name
            found[name] = row
        return found

    def retired(self, account: str) -> list[GrantRow]:
        """The grants that have left an account's row."""
        rows = (
            self._books.retired(account, grant) for grant in self._named(retired_key(account, ""))
        )
        return [row.grant for row in rows if row is not None]

    def _named(self, start: str) -> list[str]:
        """What follows `start` in the keys of rows."""
        return sorted(key.removeprefix(start) for key in self._memory.rows if key.startswith(start))
