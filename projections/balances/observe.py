"""What a batch of balances counts as: postings, credits by product, latency. Once a batch."""

from typing import Final

import polars as pl
from prometheus_client.samples import Exemplar

from projections import metrics
from projections.balances.alerts import RANK
from projections.balances.columnar import Folded
from projections.balances.postings import OF_LINE
from projections.metrics.batched import ages
from projections.metrics.series import PRODUCTS
from schemas.frames import RatedKind
from schemas.tables import filtered

STAGE: Final = "balances"
_MICROSECONDS: Final = 1_000_000


def begin() -> None:
    """Show from the start what may be counted later."""
    metrics.LATENCY.start()
    for kind in RANK:
        metrics.ALERTS.labels(kind)


def batch(rated: pl.DataFrame, folded: Folded, partition: int, seconds: float) -> None:
    """Count a batch of rated rows that was folded in `seconds`."""
    metrics.BATCH_ROWS.labels(STAGE).observe(rated.height)
    metrics.BATCH_SECONDS.labels(STAGE).observe(seconds)
    metrics.STEP_SECONDS.labels(STAGE, "fold").inc(seconds)
    _postings(folded.ledger)
    for alert in folded.alerts:
        metrics.ALERTS.labels(alert.type).inc()
    for refused in folded.refused:
        metrics.EVENTS.labels(STAGE, refused.reason).inc()
    ticks = rated.get_column("at").filter(rated.get_column("kind") == int(RatedKind.TICK))
    if ticks.len():
        metrics.TICK_TIMESTAMP.labels(partition).set(ticks.item(-1) / _MICROSECONDS)


def _postings(ledger: pl.DataFrame) -> None:
    if not ledger.height:
        return
    amount = ledger.get_column("amount").cast(pl.Float64)  # a sample; the ledger is the truth
    table = ledger.select_seq("posting", "product", amount)
    back = _sums(filtered(table, amount < 0)) if amount.min() < 0 else {}  # type: ignore[operator]
    for (posting, product), (count, total) in _sums(table).items():
        metrics.EVENTS.labels(STAGE, posting).inc(count)
        if product is None or posting not in OF_LINE:
            continue
        name, returned = PRODUCTS.name(product), back.get((posting, product), (0, 0.0))[1]
        metrics.CONSUMED_CREDITS.labels(name, posting).inc(max(0.0, total - returned))
        if returned:
            metrics.RETURNED_CREDITS.labels(name, posting).inc(-returned)


def _sums(table: pl.DataFrame) -> dict[tuple[str, str | None], tuple[int, float]]:
    """Rows and their amount by posting and product."""
    sums = table.group_by("posting", "product").agg(pl.len(), pl.col("amount").sum())
    return {(posting, product): (rows, amount) for posting, product, rows, amount in sums.rows()}


def arrived(rated: pl.DataFrame) -> pl.DataFrame | None:
    """What `commit` needs of a batch: the lines' journal time and position; None without lines."""
    is_line = rated.get_column("kind") == int(RatedKind.LINE)
    lines = rated.select_seq("at", "journal_offset", "row")
    if not is_line.all():
        lines = filtered(lines, is_line)
    return lines if lines.height else None


def commit(lines: pl.DataFrame | None, partition: int, seconds: float, now: int) -> None:
    """Count a commit that took `seconds` and was stored at `now`, microseconds."""
    metrics.COMMITS.labels(STAGE).inc()
    metrics.STEP_SECONDS.labels(STAGE, "commit").inc(seconds)
    if lines is None:
        return
    at, offset, row = lines.get_columns()
    found = ages(at, now, metrics.LATENCY.bounds)
    exemplars = {
        bucket: Exemplar(
            {"journal": f"{partition}/{offset.item(oldest)}/{row.item(oldest)}"},
            max(0, now - at.item(oldest)) / _MICROSECONDS,
            now / _MICROSECONDS,
        )
        for bucket, oldest in found.oldest.items()
    }
    metrics.LATENCY.observe(found, exemplars)
