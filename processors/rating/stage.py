"""Rating as a stage: journal frames in, rated frames out, what could not be priced beside them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from processors.rating.columnar import rate
from processors.rating.known import Known
from projections import metrics
from projections.fold.cut import cut_frames
from projections.fold.kind import StageKind
from projections.fold.outbox import Output
from projections.fold.position import GapWatch, JournalReader, Position
from projections.fold.stage import Record
from projections.rates.rows import STAGE, WaitingRow, decode_row, encode_row, event_key
from projections.rows import Changes, RowReader, Rows
from schemas.frames import RATED_SCHEMA, FrameKind, JournalKind, RatedKind, decode_journal
from schemas.rejected import cloud_event, rejection_headers
from schemas.tables import filtered, stacked
from schemas.topics import JOURNAL, RATED, REJECTED, UNRATED

CACHED_ROWS: Final = 200_000


class RatingFold:
    """One partition of rating, from one assignment to the next."""

    def __init__(self, partition: int, position: Position, rows: RowReader) -> None:
        self._partition = partition
        self._journal = JournalReader(position.vector)
        self._reached, self._clock = position.reached, position.clock
        self._rows = Rows(rows, encode_row, decode_row)
        self._known = Known(self._rows)
        self._gap = GapWatch()

    def apply(self, records: Sequence[Record]) -> list[Output]:
        """Rate what the journal frames bring that is new. Raises FrameError."""
        started = time.perf_counter()
        parts = [self._journal.feed(offset, value) for offset, value in records]
        new = [part for part in parts if part is not None]
        rated = pl.DataFrame(schema=RATED_SCHEMA)
        side: list[Output] = []
        if new:
            batch = stacked(new)
            rated, self._clock = rate(batch, self._clock, self._rows, self._known)
            side = list(self._side_records(batch, rated))
        upto = (records[-1][0] + 1, 0, 0)
        frames = cut_frames(FrameKind.RATED, rated, self._reached, upto)
        self._reached = upto
        _observe(rated, len(frames), time.perf_counter() - started)
        return [Output(RATED, frame, partition=self._partition) for frame in frames] + side

    def take_changes(self) -> Changes:
        """The rows to commit with the position."""
        return self._rows.take_changes()

    def on_commit(self) -> Callable[[float], None]:
        """Counts the commit."""

        def committed(seconds: float) -> None:
            metrics.COMMITS.labels(STAGE).inc()
            metrics.STEP_SECONDS.labels(STAGE, "commit").inc(seconds)

        return committed

    def advance(self, position: Position) -> Position:
        """`position` with the source vector, the reach of the outputs and the clock."""
        return Position(
            position.offset,
            position.digest,
            position.topic_id,
            self._journal.vector,
            self._reached,
            self._clock,
        )

    def check_gap(self, now: float) -> None:
        """Raises GapError when the journal has had a gap for too long."""
        if self._journal.gap is not None:
            self._gap.ignore(self._journal.gap, now)
            self._journal.gap = None
        self._gap.check(self._journal.vector, now, vector=True)

    def evict(self, pending: Mapping[str, object]) -> None:
        """Keep the cache bounded."""
        self._rows.evict(CACHED_ROWS, pending)

    def _side_records(self, batch: pl.DataFrame, rated: pl.DataFrame) -> Iterator[Output]:
        """`unrated` and `rejected` show what the rated log already says; both may repeat."""
        shown = [int(RatedKind.UNRATED), int(RatedKind.REFUSED)]
        ended = filtered(rated, rated.get_column("kind").is_in(shown))
        if not ended.height:
            return
        place = ["journal_offset", "row"]
        came = batch.select_seq(*place, "type", "contract", "offset", journal_kind="kind")
        for row in ended.join(came, on=place, how="left", suffix="_named").iter_rows(named=True):
            detail = f"{row['reason']} at journal {row['journal_offset']}:{row['row']}"
            if row["product"]:
                detail += f", product {row['product']}"
            yield Output(
                UNRATED if row["kind"] == RatedKind.UNRATED else REJECTED,
                self._content(row),
                key=row["account"].encode() if row["account"] else None,
                headers=rejection_headers(
                    JOURNAL.name, self._partition, row["journal_offset"], row["reason"], detail
                ),
            )

    def _content(self, row: Mapping[str, Any]) -> bytes:
        """The bytes of what ended so: an event as a CloudEvent again, a document as it came."""
        kind, contract = row["type"], row["contract_named"]
        if row["journal_kind"] != JournalKind.USAGE:
            if row["kind"] == RatedKind.REFUSED:
                data: bytes = row["data"]
                return data
            # Unrated by a replay or a backfill: what the journal does not say of it waits with it.
            waiting = self._rows.get(event_key("n", row["account"], row["source"], row["id"]))
            assert isinstance(waiting, WaitingRow), row
            kind, contract = waiting.event_type, waiting.contract
        return cloud_event(
            row["account"], row["source"], row["id"], kind, row["time"], row["data"], contract
        )


def _observe(rated: pl.DataFrame, frames: int, seconds: float) -> None:
    metrics.FRAMES.labels(STAGE).inc(frames)
    metrics.BATCH_ROWS.labels(STAGE).observe(rated.height)
    metrics.BATCH_SECONDS.labels(STAGE).observe(seconds)
    metrics.STEP_SECONDS.labels(STAGE, "fold").inc(seconds)
    is_line = rated.get_column("kind") == int(RatedKind.LINE)
    others = rated.clear() if is_line.all() else filtered(rated, ~is_line)
    metrics.EVENTS.labels(STAGE, "line").inc(rated.height - others.height)
    ended = zip(others.get_column("kind"), others.get_column("reason"), strict=True)
    for (kind, reason), count in Counter(ended).items():
        metrics.EVENTS.labels(STAGE, reason or RatedKind(kind).name.lower()).inc(count)


def _received(value: bytes) -> pl.Series:
    return decode_journal(value).rows.get_column("received_at")


RATING: Final = StageKind(
    STAGE,
    JOURNAL,
    RatingFold,
    _received,
    tuple(kind.name.lower() for kind in (RatedKind.LINE, RatedKind.TICK, RatedKind.DOCUMENT)),
)
