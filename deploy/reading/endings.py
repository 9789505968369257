"""I1, second half: a journalled record ends, in lines, unrated or refused; nothing else does.

A document may end in no row where it changes nothing (the same once more): whether it should have
is shown by folding again (I4).
"""

from typing import Final

import polars as pl

from deploy.reading.evidence import Evidence
from deploy.reading.report import Invariant
from schemas.frames import JournalKind, RatedKind

_PLACE: Final = ["journal_offset", "row"]
_NAMES: Final = {
    RatedKind.LINE: "lines",
    RatedKind.UNRATED: "unrated",
    RatedKind.REFUSED: "refused_by_rating",
}


def check_endings(evidence: Evidence, found: Invariant) -> None:
    """Compare the journal below rating's position with the rated log."""
    until = evidence.rating.position.offset
    journal = evidence.journal.rows.filter(pl.col("journal_offset") < until)
    rated = evidence.rated.rows.filter(pl.col("journal_offset") < until)
    for kind, count in rated.get_column("kind").value_counts().iter_rows():
        if kind in _NAMES:
            found.count(**{_NAMES[RatedKind(kind)]: count})
    ends = rated.group_by(_PLACE).agg(
        *((pl.col("kind") == int(kind)).sum().alias(kind.name) for kind in RatedKind),
        pl.len().alias("all"),
    )
    came = journal.select(*_PLACE, pl.col("kind").alias("came"), "account", "source", "id")
    joined = came.join(ends, on=_PLACE, how="left").with_columns(
        pl.col(*[kind.name for kind in RatedKind], "all").fill_null(0)
    )
    for row in joined.filter(~_well_ended()).sort(_PLACE).iter_rows(named=True):
        kind = JournalKind(row["came"]).name.lower()
        ended = ", ".join(f"{row[k.name]} {k.name.lower()}" for k in RatedKind if row[k.name])
        found.differ(
            f"journal [{evidence.partition}] at {row['journal_offset']}:{row['row']}: a {kind}"
            f" ({row['account']}, {row['source']}, {row['id']}) ended as {ended or 'nothing'}"
        )
    for row in rated.join(came, on=_PLACE, how="anti").iter_rows(named=True):
        place = f"{row['journal_offset']}:{row['row']}:{row['ordinal']}"
        found.differ(f"rated [{evidence.partition}] at {place}: of no journal row")


def _well_ended() -> pl.Expr:
    line, tick, document, unrated, refused = (pl.col(kind.name) for kind in RatedKind)
    total = pl.col("all")
    rated = (line + unrated >= 1) & (line + unrated == total)
    refused_alone = (refused == 1) & (total == 1)
    of_usage = rated | refused_alone
    of_tick = (tick == 1) & (total == 1)
    passed_on = (document == 1) & (total == 1)
    of_catalog = (total == 0) | refused_alone | passed_on
    of_credits = of_catalog | rated
    came = pl.col("came")
    return (
        pl.when(came == int(JournalKind.USAGE))
        .then(of_usage)
        .when(came == int(JournalKind.TICK))
        .then(of_tick)
        .when(came == int(JournalKind.CREDITS))
        .then(of_credits)
        .otherwise(of_catalog)
    )
