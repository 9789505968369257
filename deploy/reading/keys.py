"""I2: a key is folded at most once inside the dedupe window, and what was dropped repeats one.

The key is (subject, source, id); the same content is the same type, contract and bytes of `data`
(credits.md section 9). A duplicate must repeat an event that was accepted before it, a conflict
must contradict one: a record dropped for no reason would be lost usage. A backfilled event must not
have been priced otherwise: the claims of admission do not reach back so far.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from deploy.reading.evidence import Evidence
from deploy.reading.outcomes import Repeat
from deploy.reading.report import Invariant
from schemas.documents import Backfill, parse_document
from schemas.frames import JournalKind, RatedKind
from schemas.reasons import Reason

_KEY: Final = ["account", "source", "id"]
_PLACE: Final = ["journal_offset", "row"]


def check_keys(evidence: Evidence, repeats: Sequence[Repeat], found: Invariant) -> None:
    """Check the accepted keys, and each repeat against them."""
    rows = evidence.journal.rows.filter(
        pl.col("kind").is_in([int(JournalKind.USAGE), int(JournalKind.TICK)])
    ).sort("offset")
    events = rows.with_columns(clock=pl.col("received_at").cum_max()).filter(
        pl.col("kind") == int(JournalKind.USAGE)
    )
    where = f"usage [{evidence.partition}]"
    found.count(keys=events.height, repeats=len(repeats))
    for row in _folded_twice(events, evidence.dedupe_window):
        found.differ(
            f"{where} offset {row['offset']}: {row['account']}, {row['source']}, {row['id']} was"
            f" folded before, at offset {row['before']}"
        )
    for offset, reason in _unjustified(events, repeats):
        found.differ(f"{where} offset {offset}: dropped as {reason}, but it repeats nothing")

    for row in _backfilled_twice(evidence):
        place = f"{row['journal_offset']}:{row['row']}"
        found.differ(
            f"rated [{evidence.partition}] at {place}: {row['account']}, {row['source']},"
            f" {row['id']} was priced for {row['product']} by a backfill, and otherwise too"
        )


def _backfilled_twice(evidence: Evidence) -> Iterator[dict[str, object]]:
    """Lines of backfilled events whose product was priced of the same event by another record."""
    documents = evidence.journal.rows.filter(pl.col("kind") == int(JournalKind.CREDITS))
    backfills = documents.filter(
        pl.col("data").map_elements(_is_backfill, return_dtype=pl.Boolean)
    ).select(*_PLACE)
    lines = evidence.rated.rows.filter(
        (pl.col("kind") == int(RatedKind.LINE)) & pl.col("mirror").is_null()
    )
    line = [*_KEY, "product"]
    backfilled = lines.join(backfills, on=_PLACE, how="semi")
    others = lines.join(backfilled, on=line, how="semi")
    yield from others.filter(pl.struct(line).is_duplicated()).iter_rows(named=True)


def _is_backfill(data: bytes) -> bool:
    # Valid or not: what was refused has no lines.
    return b"backfill" in data and isinstance(parse_document(data), Backfill)


def _folded_twice(events: pl.DataFrame, window: int) -> Iterator[dict[str, object]]:
    doubled = events.filter(pl.struct(_KEY).is_duplicated())
    if not doubled.height:
        return
    previous = doubled.with_columns(
        before=pl.col("offset").shift(1).over(_KEY),
        elapsed=pl.col("clock") - pl.col("clock").shift(1).over(_KEY),
    )
    yield from previous.filter(pl.col("elapsed") < window).iter_rows(named=True)


def _unjustified(events: pl.DataFrame, repeats: Sequence[Repeat]) -> Iterator[tuple[int, str]]:
    if not repeats:
        return
    asked = pl.DataFrame(
        {
            "at": [repeat.offset for repeat in repeats],
            "reason": [str(repeat.reason) for repeat in repeats],
            "account": [repeat.event.account for repeat in repeats],
            "source": [repeat.event.source for repeat in repeats],
            "id": [repeat.event.id for repeat in repeats],
            "says": [repeat.event.type for repeat in repeats],
            "names": [repeat.event.contract for repeat in repeats],
            "bytes": [repeat.event.data for repeat in repeats],
        },
        schema_overrides={"names": pl.String, "bytes": pl.Binary},
    )
    same = (
        (pl.col("type") == pl.col("says"))
        & pl.col("contract").eq_missing(pl.col("names"))
        & pl.col("data").eq_missing(pl.col("bytes"))
    )
    duplicate = pl.col("reason") == str(Reason.DUPLICATE)
    justified = asked.join(events, on=_KEY, how="inner").filter(
        (pl.col("offset") < pl.col("at")) & (duplicate == same)
    )
    missing = asked.join(justified.select("at").unique(), on="at", how="anti").sort("at")
    yield from missing.select("at", "reason").iter_rows()
