"""Drawing down a whole batch of rated rows; the same result as `projections.balances.reference`.

Per account, the batch's lines are summed by product. Where the sums fit the account's plan (no
boundary of expiry, threshold, exhaustion or a first overage within), each product is one
subtraction and its postings are made in columns. Every other account goes line by line through the
reference, merged with the batch's ticks and documents in log order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from projections.balances.alerts import Alert
from projections.balances.plan import plan_of, take
from projections.balances.postings import CONSUMED, ORDINAL_BITS, OVERAGE, Posting, ledger_frame
from projections.balances.reference import Refused, fold_row
from projections.balances.row import BalanceRow, next_due
from projections.rows import Rows
from schemas.frames import LEDGER_SCHEMA, RatedKind

_PLACE: Final = ["journal_offset", "row", "ordinal"]
_UNITS: Final = ("quantity", "cost")
_FOLDED: Final = [int(kind) for kind in (RatedKind.LINE, RatedKind.TICK, RatedKind.DOCUMENT)]


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch did: LEDGER_SCHEMA rows, alerts and refusals, each in position order."""

    ledger: pl.DataFrame
    alerts: list[Alert]
    refused: list[Refused]


def fold(batch: pl.DataFrame, rows: Rows[BalanceRow]) -> Folded:
    """Fold `batch`, RATED_SCHEMA rows in position order."""
    lines = batch.filter(pl.col("kind") == int(RatedKind.LINE))
    documents = batch.filter(pl.col("kind") == int(RatedKind.DOCUMENT))
    excluded = set(documents.get_column("account").to_list())
    totals = _totals(lines)
    rows.load([*totals, *sorted(excluded)])
    quick = _take_quickly(totals, rows, excluded)
    ledger = _quick_ledger(lines.join(quick, on=["account", "product"], how="inner"))
    others = batch.filter(pl.col("kind").is_in(_FOLDED))
    slow = others.join(
        quick.select("account").unique(), on="account", how="anti", maintain_order="left"
    )
    postings, alerts, refused = _fold_slowly(slow, rows)
    if postings:
        ledger = pl.concat([ledger, ledger_frame(postings)])
    return Folded(ledger.sort(_PLACE), alerts, refused)


@dataclass(slots=True)
class _Total:
    """One account's lines of a batch: cost by product, span of event times, last journal time."""

    first: int
    last: int
    clock: int
    costs: list[tuple[str, int]]


def _totals(lines: pl.DataFrame) -> dict[str, _Total]:
    """By account. Eager group sums wrap silently, so their bound is checked first."""
    costs = lines.get_column("cost").to_physical()
    if lines.height:
        least, most = costs.min(), costs.max()
        assert least is not None and least >= 0, least  # type: ignore[operator]  # noqa: PT018
        assert most * lines.height < 10**38, most  # type: ignore[operator]
    keys = ("account", "product")
    sums = lines.group_by(*keys, maintain_order=True).agg(
        pl.col("time").min().alias("first"),
        pl.col("time").max().alias("last"),
        pl.col("at").max().alias("clock"),
        pl.col("cost").to_physical().sum(),
    )
    totals: dict[str, _Total] = {}
    for account, product, first, last, clock, cost in sums.iter_rows():
        total = totals.get(account)
        if total is None:
            totals[account] = _Total(first, last, clock, [(product, cost)])
            continue
        total.costs.append((product, cost))
        total.first = min(total.first, first)
        total.last = max(total.last, last)
        total.clock = max(total.clock, clock)
    return totals


def _take_quickly(
    totals: dict[str, _Total], rows: Rows[BalanceRow], excluded: set[str]
) -> pl.DataFrame:
    """Apply what fits; gives (account, product, payer) of each, payer null for overage."""
    accounts: list[str] = []
    products: list[str] = []
    names: list[str | None] = []
    for account, total in totals.items():
        if account in excluded:
            continue
        row = rows.get(account)
        assert row is not None, account
        plan = plan_of(row, total.first)
        payers = take(row, plan, total.costs, total.last, total.clock)
        if payers is None:
            continue
        rows.put(account, row)
        for payer, (product, _) in zip(payers, total.costs, strict=True):
            accounts.append(account)
            products.append(product)
            names.append(None if payer is None else payer.id)
    return pl.DataFrame(
        {"account": accounts, "product": products, "payer": names},
        schema={"account": pl.String, "product": pl.String, "payer": pl.String},
    )


def _quick_ledger(lines: pl.DataFrame) -> pl.DataFrame:
    free = pl.col("cost").to_physical() == pl.lit(0, pl.Int128)
    overage = pl.col("payer").is_null() & ~free
    return lines.with_columns(
        pl.col("ordinal") * (1 << ORDINAL_BITS),
        pl.when(overage).then(pl.lit(OVERAGE)).otherwise(pl.lit(CONSUMED)).alias("posting"),
        pl.when(~free).then("payer").alias("grant"),
        pl.col("cost").alias("amount"),
    ).select(*LEDGER_SCHEMA)


def _fold_slowly(
    slow: pl.DataFrame, rows: Rows[BalanceRow]
) -> tuple[list[Posting], list[Alert], list[Refused]]:
    postings: list[Posting] = []
    alerts: list[Alert] = []
    refused: list[Refused] = []
    if not slow.height:
        return postings, alerts, refused
    last = slow.get_column("at").item(-1)
    ticked = bool((slow.get_column("kind") == int(RatedKind.TICK)).any())
    watched = set(rows.due(last)) if ticked else set()
    watched.update(account for account in slow.get_column("account").unique() if account)
    for rated in _dicts(slow):
        due: Sequence[str] = ()
        if rated["kind"] == RatedKind.TICK:
            due = _due_of(watched, rows, rated["at"])
        step = fold_row(rated, rows, due)
        postings.extend(step.postings)
        alerts.extend(step.alerts)
        refused.extend(step.refused)
    return postings, alerts, refused


def _due_of(watched: set[str], rows: Rows[BalanceRow], clock: int) -> list[str]:
    found = []
    for account in watched:
        row = rows.get(account)
        if row is not None and (due := next_due(row)) is not None and due <= clock:
            found.append(account)
    return sorted(found)


def _dicts(rated: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values, amounts in units."""
    return rated.with_columns(pl.col(name).to_physical() for name in _UNITS).to_dicts()
