"""I3: credits are conserved, per grant and per account, in the rows and in the ledger alike.

Three tellings of the same credits must agree: what each row says of its grants, what the
ledger's postings sum to, and what the rated lines cost. None of them is recomputed here. A fourth
is partial: tallies of keys may give back no more than was consumed. What is held of a grant is said
three times likewise: in its row, by the open holds, and by the postings.
"""

from collections.abc import Iterator, Mapping

import polars as pl

from deploy.reading.evidence import Evidence
from deploy.reading.held import Held, held_accounts
from deploy.reading.line_postings import check_lines
from deploy.reading.replay import below, ledger_reach
from deploy.reading.report import Invariant
from projections.balances.postings import (
    ADJUSTED,
    CONSUMED,
    EXPIRED,
    HELD,
    ISSUED,
    OVERAGE,
    RECEIVED,
    REFUNDED,
    RELEASED,
    REOPENED,
    REPAID,
    ROLLED_OVER,
    SETTLED,
    VOIDED,
)
from projections.balances.row import check_conservation
from schemas.numbers import CREDIT_DECIMALS, format_units

Sums = dict[tuple[str, str | None], dict[str, int]]


def check_conserved(evidence: Evidence, found: Invariant) -> None:
    """Compare rows, postings, tallies and lines up to balances' position."""
    partition = evidence.partition
    ledger = below(evidence.ledger.rows, ledger_reach(evidence)).with_columns(
        units=pl.col("amount").to_physical()
    )
    sums = _sums(ledger)
    accounts = held_accounts(evidence.balances.rows)
    for name, account in accounts.items():
        for breach in check_conservation(name, account.grants):
            found.differ(f"balances [{partition}] {breach}")
        for difference in (*_against_ledger(account, sums), *_within_rows(account)):
            found.differ(f"balances [{partition}] {name}{difference}")
    for name, grant in sums:
        if name not in accounts or not _knows(accounts[name], grant):
            found.differ(f"ledger [{partition}] posts to {name}/{grant}, which has no row")
    check_lines(evidence, ledger, found)
    found.count(
        accounts=len(accounts),
        grants=sum(len(account.grants) for account in accounts.values()),
        retired=sum(len(account.retired) for account in accounts.values()),
        open_holds=sum(len(account.open_holds) for account in accounts.values()),
    )


def _sums(ledger: pl.DataFrame) -> Sums:
    """Units by (account, grant) and posting. At most 10^27 each: far from where a sum wraps."""
    totals = ledger.group_by("account", "grant", "posting").agg(pl.col("units").sum())
    sums: Sums = {}
    for account, grant, posting, units in totals.iter_rows():
        sums.setdefault((account, grant), {})[posting] = units
    return sums


def _against_ledger(account: Held, sums: Sums) -> Iterator[str]:
    name, repaid = account.row.account, 0
    for grant in account.grants:
        posted = sums.get((name, grant.id), {})
        repaid += posted.get(REPAID, 0)
        for part, want in _expected(posted).items():
            have = getattr(grant, part)
            if have != want:
                yield f"/{grant.id}: {part} {_text(have)}, posted {_text(want)}"
    posted = sums.get((name, None), {})
    owed = posted.get(OVERAGE, 0) - posted.get(SETTLED, 0) - repaid
    if account.row.overage != owed:
        yield f": overage {_text(account.row.overage)}, posted {_text(owed)}"


def _expected(posted: Mapping[str, int]) -> dict[str, int]:
    """What a grant's row must say by its postings (projections.balances.postings' table)."""

    def total(*names: str) -> int:
        return sum(posted.get(name, 0) for name in names)

    issued = total(ISSUED, ADJUSTED, RECEIVED)
    gone = total(CONSUMED, REPAID, EXPIRED, ROLLED_OVER, VOIDED, REFUNDED)
    return {
        "issued": issued,
        "consumed": total(CONSUMED, REOPENED, REPAID),
        "expired": total(EXPIRED) - total(REOPENED),
        "rolled_over": total(ROLLED_OVER),
        "voided": total(VOIDED),
        "refunded": total(REFUNDED),
        "remaining": issued - gone,
        "held": total(HELD) - total(RELEASED),
    }


def _within_rows(account: Held) -> Iterator[str]:
    """What an account's rows say twice must be the same."""
    row = account.row
    consumed = sum(grant.consumed for grant in account.retired)
    if (row.retired, row.retired_consumed) != (len(account.retired), consumed):
        yield f": {row.retired} retired grants, {len(account.retired)} have rows, or they differ"
    for scope, counted in row.scopes.items():
        owed = sum(owed.amount for place, owed in row.owed.items() if place[0] == scope)
        if counted.overage != owed:
            yield f": overage {_text(counted.overage)} of {scope!r}, its keys' {_text(owed)}"
    for grant in account.grants:
        drawn = account.drawn.get(grant.id, 0)
        if not 0 <= drawn <= grant.consumed:
            yield f"/{grant.id}: consumed {_text(grant.consumed)}, tallies hold {_text(drawn)}"
    yield from _within_holds(account)


def _within_holds(account: Held) -> Iterator[str]:
    """Open holds stand in their own rows, in the account's index, and in the grants."""
    reserved = account.reserved
    for grant in account.grants:
        want = reserved.pop(grant.id, 0)
        if grant.held != want:
            yield f"/{grant.id}: held {_text(grant.held)}, open holds have {_text(want)}"
    for name, amount in reserved.items():
        yield f"/{name}: no such grant, and open holds have {_text(amount)} of it"
    rows = account.holds.items()
    open_rows = sorted((hold.expires_at, name) for name, hold in rows if hold.ended_at is None)
    if open_rows != account.open_holds:
        yield f": {len(open_rows)} holds are open, the index has {len(account.open_holds)}"
    first = open_rows[0][0] if open_rows else None
    if account.row.holds_until != first:
        yield f": the first hold ends at {first}, the row says {account.row.holds_until}"


def _knows(account: Held, grant: str | None) -> bool:
    return grant is None or any(held.id == grant for held in account.grants)


def _text(units: int) -> str:
    return format_units(units, CREDIT_DECIMALS)
