"""I3 of lines: each line's postings sum to its cost, and nothing is paid that was not a line.

What no grant paid is posted as overage after the multiplier of its terms, rounded half-even: so a
line of which credits and overage do not sum to the cost must be explained by a multiplier that its
account or contract has had. A fee has no rated line: it is compared with the cost that it names.
"""

from collections.abc import Iterator
from typing import Final

import polars as pl

from deploy.reading.evidence import Evidence
from deploy.reading.held import Held, held_accounts
from deploy.reading.replay import below
from deploy.reading.report import Invariant
from projections.balances.postings import OF_LINE, ORDINAL_BITS, OVERAGE
from projections.balances.row import WALLET
from projections.contracts import contract_of
from schemas.documents import Account, parse_document
from schemas.frames import RatedKind
from schemas.numbers import CREDIT_DECIMALS, QUANTITY_DECIMALS, format_units, round_half_even

_PLACE: Final = ["journal_offset", "row", "ordinal"]
_FEE: Final = [*_PLACE, "account", "contract", "id"]
_ONE: Final = 10**QUANTITY_DECIMALS


def check_lines(evidence: Evidence, ledger: pl.DataFrame, found: Invariant) -> None:
    """Compare the ledger, with its amounts as `units`, with the rated lines and its own fees."""
    rated = below(evidence.rated.rows, evidence.balances.position.reached)
    postings = ledger.filter(pl.col("posting").is_in(OF_LINE)).with_columns(
        pl.col("ordinal") // (1 << ORDINAL_BITS), pl.col("cost").to_physical()
    )
    due = rated.filter(pl.col("kind") == int(RatedKind.LINE)).select(
        *_PLACE, "account", "contract", cost=pl.col("cost").to_physical()
    )
    is_fee = pl.col("source").is_null()
    paid = postings.filter(~is_fee).group_by(_PLACE).agg(*_paid())
    joined = due.join(paid, on=_PLACE, how="full", coalesce=True).sort(_PLACE)
    fees = postings.filter(is_fee).group_by(_FEE).agg(pl.col("cost").first(), *_paid())
    terms = _Multipliers(evidence.balances.rows, rated)
    for row in (*_unequal(joined), *_unequal(fees.sort(_FEE))):
        if not terms.explain(row):
            where = ":".join(str(row[name]) for name in _PLACE)
            found.differ(
                f"line [{evidence.partition}] {where} of {row['account']}: costs"
                f" {_text(row['cost'])}, paid {_text(row['drawn'])}, overage {_text(row['owed'])}"
            )
    found.count(lines=due.height, fees=fees.height)


def _paid() -> tuple[pl.Expr, pl.Expr]:
    """What grants paid, and what is owed."""
    overage, units = pl.col("posting") == OVERAGE, pl.col("units")
    return units.filter(~overage).sum().alias("drawn"), units.filter(overage).sum().alias("owed")


def _unequal(lines: pl.DataFrame) -> Iterator[dict[str, int | str | None]]:
    """The lines whose postings do not plainly sum to the cost."""
    total = pl.col("drawn") + pl.col("owed")
    yield from lines.filter(~pl.col("cost").eq_missing(total)).iter_rows(named=True)


class _Multipliers:
    """The overage multipliers that an account and its contracts have had, looked up when needed."""

    def __init__(self, rows: dict[str, bytes], rated: pl.DataFrame) -> None:
        self._rows, self._rated = rows, rated
        self._accounts: dict[str, Held] | None = None

    def explain(self, line: dict[str, int | str | None]) -> bool:
        """Whether a multiplier makes the overage what was posted."""
        cost, drawn, owed = line["cost"], line["drawn"], line["owed"]
        if not (isinstance(cost, int) and isinstance(drawn, int) and isinstance(owed, int)):
            return False
        multipliers = set(self._of(str(line["account"]), line["contract"] or WALLET))
        if cost > 0:
            short = cost - drawn
            return 0 <= drawn <= cost and any(
                owed == round_half_even(short * multiplier, _ONE) for multiplier in multipliers
            )
        # What returns is a share of a key's overage, which lines of several multipliers made.
        return cost <= drawn <= 0 and owed <= 0 and bool(multipliers - {_ONE})

    def _of(self, account: str, scope: str | int) -> Iterator[int]:
        if self._accounts is None:
            self._accounts = held_accounts(self._rows)
        held = self._accounts.get(account)
        if held is not None and scope in held.row.terms.contracts:
            for revision in held.row.terms.contracts[str(scope)].revisions:
                yield contract_of(revision.document).overage.multiplier.units
        elif scope == WALLET:
            of_account = (pl.col("kind") == int(RatedKind.DOCUMENT)) & (
                pl.col("account") == account
            )
            for data in self._rated.filter(of_account).get_column("data"):
                document = parse_document(data)
                if isinstance(document, Account):
                    yield document.overage.multiplier.units


def _text(units: int | str | None) -> str:
    return format_units(units, CREDIT_DECIMALS) if isinstance(units, int) else "nothing"
