"""Balances as a stage: rated frames in, ledger frames and alerts out, balance rows beside them."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl

from projections import metrics
from projections.balances import observe
from projections.balances.books import Books
from projections.balances.columnar import Folded, fold
from projections.balances.postings import ORDINAL_BITS, POSTINGS
from projections.fold.cut import cut_frames
from projections.fold.kind import StageKind
from projections.fold.outbox import Output
from projections.fold.position import GapWatch, OutputReader, Position
from projections.fold.stage import Record
from projections.rows import Changes, RowReader
from schemas.frames import LEDGER_SCHEMA, FrameKind, decode_rated
from schemas.rejected import rejection_headers
from schemas.tables import stacked
from schemas.topics import ALERTS, LEDGER, RATED, REJECTED

STAGE: Final = observe.STAGE
CACHED_ROWS: Final = 200_000


class BalancesFold:
    """One partition of balances, from one assignment to the next."""

    def __init__(self, partition: int, position: Position, rows: RowReader) -> None:
        self._partition = partition
        self._rated = OutputReader(decode_rated, position.reached)
        self._written = position.reached
        self._books = Books(rows)
        self._gap = GapWatch()
        self._arrived: pl.DataFrame | None = None
        observe.begin()

    def apply(self, records: Sequence[Record]) -> list[Output]:
        """Draw down what the rated frames bring that is new. Raises FrameError."""
        started = time.perf_counter()
        parts = [self._rated.feed(value) for _, value in records]
        new = [part for part in parts if part is not None]
        folded = Folded(pl.DataFrame(schema=LEDGER_SCHEMA), [], [])
        if new:
            batch = stacked(new)
            folded = fold(batch, self._books)
            observe.batch(batch, folded, self._partition, time.perf_counter() - started)
            self._arrived = observe.arrived(batch)
        return self._outputs(folded)

    def _outputs(self, folded: Folded) -> list[Output]:
        upto = _spread(self._rated.reached)
        frames = cut_frames(FrameKind.LEDGER, folded.ledger, _spread(self._written), upto)
        self._written = self._rated.reached
        metrics.FRAMES.labels(STAGE).inc(len(frames))
        outputs = [Output(LEDGER, frame, partition=self._partition) for frame in frames]
        outputs.extend(
            Output(
                ALERTS,
                alert.to_cloudevent(),
                key=alert.account.encode(),
                headers=(("content-type", b"application/cloudevents+json"),),
            )
            for alert in folded.alerts
        )
        outputs.extend(
            Output(
                REJECTED,
                refused.data,
                key=refused.account.encode(),
                headers=rejection_headers(
                    RATED.name,
                    self._partition,
                    refused.journal_offset,
                    refused.reason,
                    refused.detail,
                ),
            )
            for refused in folded.refused
        )
        return outputs

    def take_changes(self) -> Changes:
        """The rows to commit with the position."""
        return self._books.rows.take_changes()

    def on_commit(self) -> Callable[[float], None]:
        """Counts the commit, and how long its lines had taken to get there."""
        arrived, self._arrived = self._arrived, None

        def committed(seconds: float) -> None:
            observe.commit(arrived, self._partition, seconds, time.time_ns() // 1_000)

        return committed

    def advance(self, position: Position) -> Position:
        """`position` with the journal position that was read and written up to."""
        return Position(
            position.offset, position.digest, position.topic_id, reached=self._rated.reached
        )

    def check_gap(self, now: float) -> None:
        """Raises GapError when the rated log has had a gap for too long."""
        if self._rated.gap is not None:
            self._gap.ignore(self._rated.gap, now)
            self._rated.gap = None
        self._gap.check(self._rated.reached, now, vector=False)

    def evict(self, pending: Mapping[str, object]) -> None:
        """Keep the cache bounded."""
        self._books.rows.evict(CACHED_ROWS, pending)


def _spread(position: tuple[int, int, int]) -> tuple[int, int, int]:
    """Ledger positions leave room for the postings of each rated row."""
    offset, row, ordinal = position
    return (offset, row, ordinal << ORDINAL_BITS)


def _received(value: bytes) -> pl.Series:
    """Journal time: the running maximum of when events were received."""
    return decode_rated(value).rows.get_column("at")


BALANCES: Final = StageKind(STAGE, RATED, BalancesFold, _received, POSTINGS)
