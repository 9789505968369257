"""Drawing down a whole batch of rated rows; the same result as `projections.balances.reference`.

Per account, the batch's lines are summed by product. Where the sums fit the account's plan (no boundary of
expiry, threshold, exhaustion or a first overage within), each product is one subtraction and its postings are
made in columns. Every other account goes line by line through the reference, merged with the batch's
ticks and documents in log order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from projections.balances.alerts import Alert
from projections.balances.plan import apply, fits, plan_of
from projections.balances.postings import CONSUMED, ORDINAL_BITS, OVERAGE, Posting, ledger_frame
from projections.balances.reference import Refused, fold_row
from projections.balances.row import BalanceRow, next_due
from projections.rows import Rows
from schemas.frames import LEDGER_SCHEMA, RatedKind

_PLACE: Final = ["journal_offset", "row", "ordinal"]
_UNITS: Final = ("quantity", "cost")


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch did: LEDGER_SCHEMA rows, alerts and refusals, each in position order."""

    ledger: pl.DataFrame
    alerts: list[Alert]
    refused: list[Refused]


def fold(batch: pl.DataFrame, rows: Rows[BalanceRow]) -> Folded:
    """Fold `batch`, RATED_SCHEMA rows in position order."""
    lines = batch.filter(pl.col("kind") == int(RatedKind.LINE))
    documents = batch.filter(pl.col("kind") == int(RatedKind.DOCUMENT)).get_column("account")
    rows.load([*lines.get_column("account").unique(), *documents.unique()])
    quick = _take_quickly(lines, rows, set(documents))
    ledger = _quick_ledger(lines.join(quick, on=["account", "product"], how="inner"))
    slow = batch.join(quick.select("account").unique(), on="account", how="anti")
    postings, alerts, refused = _fold_slowly(slow, rows)
    if postings:
        ledger = pl.concat([ledger, ledger_frame(postings)])
    return Folded(ledger.sort(_PLACE), alerts, refused)


def _take_quickly(
    lines: pl.DataFrame, rows: Rows[BalanceRow], excluded: set[str]
) -> pl.DataFrame:
    """Apply what fits; gives (account, product, payer) of each, payer null for overage.

    A batch's costs are at most 10^27 units each and far fewer than 10^10: their sums do not wrap.
    """
    sums = lines.group_by("account", "product").agg(
        pl.col("cost").to_physical().sum().alias("cost"),
        pl.col("time").min().alias("first"),
        pl.col("time").max().alias("last"),
        pl.col("at").max().alias("clock"),
    )
    of_account: dict[str, list[tuple[str, int, int, int, int]]] = {}
    for account, *product in sums.iter_rows():
        of_account.setdefault(account, []).append(tuple(product))  # type: ignore[arg-type]
    taken: list[tuple[str, str, str | None]] = []
    for account, products in of_account.items():
        if account in excluded:
            continue
        row = rows.get(account)
        assert row is not None, account
        costs = {product: cost for product, cost, _, _, _ in products}
        clock = max(product[4] for product in products)
        plan = plan_of(row, min(product[2] for product in products))
        if fits(row, plan, costs, max(product[3] for product in products), clock):
            for product in costs:
                payer = plan.payer(product)
                taken.append((account, product, None if payer is None else payer.id))
            apply(row, plan, costs, clock)
            rows.put(account, row)
    return pl.DataFrame(
        taken,
        schema={"account": pl.String, "product": pl.String, "payer": pl.String},
        orient="row",
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
