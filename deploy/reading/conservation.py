"""I3: credits are conserved, per grant and per account, in the rows and in the ledger alike.

Three tellings of the same credits must agree: what each row says of its grants, what the ledger's
postings sum to, and what the rated lines cost. None of them is recomputed here.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from deploy.reading.evidence import Evidence
from deploy.reading.replay import below, ledger_reach
from deploy.reading.report import Invariant
from projections.balances.postings import (
    CONSUMED,
    EXPIRED,
    ISSUED,
    ORDINAL_BITS,
    OVERAGE,
    REOPENED,
)
from projections.balances.row import BalanceRow, GrantRow, check_conservation, decode_row
from schemas.frames import RatedKind
from schemas.numbers import CREDIT_DECIMALS, format_units

_OF_USAGE: Final = (CONSUMED, REOPENED, OVERAGE)
_PLACE: Final = ["journal_offset", "row", "ordinal"]
Sums = dict[tuple[str, str | None], dict[str, int]]


def check_conserved(evidence: Evidence, found: Invariant) -> None:
    """Compare rows, postings and lines up to balances' position."""
    partition = evidence.partition
    ledger = below(evidence.ledger.rows, ledger_reach(evidence)).with_columns(
        units=pl.col("amount").to_physical()
    )
    sums = _sums(ledger)
    rows = {key: decode_row(raw) for key, raw in evidence.balances.rows.items()}
    for account, row in rows.items():
        for breach in check_conservation(row):
            found.differ(f"balances [{partition}] {breach}")
        for difference in _against_ledger(account, row, sums):
            found.differ(f"balances [{partition}] {account}{difference}")
    for account, grant in sums:
        if account not in rows or not _knows(rows[account], grant):
            found.differ(f"ledger [{partition}] posts to {account}/{grant}, which has no row")
    lines = below(evidence.rated.rows, evidence.balances.position.reached)
    _check_lines(lines, ledger, partition, found)
    _count(rows, found)


def _sums(ledger: pl.DataFrame) -> Sums:
    """Units by (account, grant) and posting. At most 10^27 each: far from where a sum wraps."""
    totals = ledger.group_by("account", "grant", "posting").agg(pl.col("units").sum())
    sums: Sums = {}
    for account, grant, posting, units in totals.iter_rows():
        sums.setdefault((account, grant), {})[posting] = units
    return sums


def _against_ledger(account: str, row: BalanceRow, sums: Sums) -> list[str]:
    differences = []
    for grant in row.grants:
        posted = sums.get((account, grant.id), {})
        for name, want in _expected(posted).items():
            have = getattr(grant, name)
            if have != want:
                differences.append(f"/{grant.id}: {name} {_text(have)}, posted {_text(want)}")
    owed = sums.get((account, None), {}).get(OVERAGE, 0)
    if row.overage != owed:
        differences.append(f": overage {_text(row.overage)}, posted {_text(owed)}")
    return differences


def _expected(posted: Mapping[str, int]) -> dict[str, int]:
    """What a grant's row must say by its postings (projections.balances.postings' table)."""
    issued, consumed = posted.get(ISSUED, 0), posted.get(CONSUMED, 0)
    reopened, expired = posted.get(REOPENED, 0), posted.get(EXPIRED, 0)
    return {
        "issued": issued,
        "consumed": consumed + reopened,
        "expired": expired - reopened,
        "remaining": issued - consumed - expired,
    }


def _knows(row: BalanceRow, grant: str | None) -> bool:
    return grant is None or any(held.id == grant for held in row.grants)


def _check_lines(
    lines: pl.DataFrame, ledger: pl.DataFrame, partition: int, found: Invariant
) -> None:
    """Each line's postings sum to its cost, and nothing is paid that was not a line."""
    due = lines.filter(pl.col("kind") == int(RatedKind.LINE)).select(
        *_PLACE, "account", cost=pl.col("cost").to_physical()
    )
    paid = (
        ledger.filter(pl.col("posting").is_in(_OF_USAGE))
        .with_columns(ordinal=pl.col("ordinal") // (1 << ORDINAL_BITS))
        .group_by(_PLACE)
        .agg(paid=pl.col("units").sum())
    )
    joined = due.join(paid, on=_PLACE, how="full", coalesce=True)
    wrong = joined.filter(~pl.col("cost").eq_missing(pl.col("paid"))).sort(_PLACE)
    for offset, row, ordinal, account, cost, units in wrong.iter_rows():
        found.differ(
            f"line [{partition}] {offset}:{row}:{ordinal} of {account}: costs {_text(cost)},"
            f" postings sum to {_text(units)}"
        )


def _count(rows: Mapping[str, BalanceRow], found: Invariant) -> None:
    grants: list[GrantRow] = [grant for row in rows.values() for grant in row.grants]
    found.count(accounts=len(rows), grants=len(grants))


def _text(units: int | None) -> str:
    return "nothing" if units is None else format_units(units, CREDIT_DECIMALS)
