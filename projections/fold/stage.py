"""One partition of one stage: fold a batch, write its outputs, then commit rows and position.

The order is rule 4 of architecture.md section 3: outputs first, then the commit, then Kafka's
offset. Up to `IN_FLIGHT` batches wait for their deliveries while the next is folded; only the
contiguous acknowledged prefix is committed. All calls of one object come from one thread.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from projections.fold.outbox import Delivery, Outbox, Output
from projections.fold.position import Position, record_digest
from projections.rows import Changes, RowReader
from schemas.errors import GapError

IN_FLIGHT: Final = 3
SKIP_PATIENCE_SECONDS: Final = 20

Record = tuple[int, bytes]
"""Offset and value of one record of the input topic."""


class Fold(Protocol):
    """The pure part of a stage, in one partition. Made anew, with empty memory, on assignment."""

    def apply(self, records: Sequence[Record]) -> list[Output]:
        """Fold the records, which follow one another, and say what to write."""

    def take_changes(self) -> Changes:
        """What to commit since the last call."""

    def on_commit(self) -> Callable[[float], None]:
        """What to call once all that was folded since the last call is committed, for metrics.

        It is told how many seconds the commit took.
        """

    def advance(self, position: Position) -> Position:
        """`position` with the parts that the fold itself keeps."""

    def check_gap(self, now: float) -> None:
        """Raises GapError when a gap has stood too long."""

    def evict(self, pending: Mapping[str, object]) -> None:
        """Bound the memory; rows of `pending` must stay."""


class Store(RowReader, Protocol):
    """What a partition's rows and position are kept in (`projections.fold.store`)."""

    def commit(self, position: Position, changes: Changes) -> None:
        """Store both in one step. Raises Fenced, StoreUnavailable."""


@dataclass(slots=True)
class _Pending:
    deliveries: list[Delivery]
    position: Position
    changes: Changes
    token: object
    on_commit: Callable[[float], None]


class StagePartition:
    """Drives `fold` over one partition. `settle` gives back `token`s that are committed."""

    def __init__(self, fold: Fold, store: Store, outbox: Outbox, position: Position) -> None:
        self._fold, self._store, self._outbox = fold, store, outbox
        self._pending: deque[_Pending] = deque()
        self._skipped_since: float | None = None
        self.committed = position
        """Up to here rows and position are stored."""
        self.folded = position
        """Up to here the log is folded, though not yet committed."""
        self.fold_seconds = 0.0
        """How long the last batch was folded, without what was waited for before and after it."""

    def process(self, records: Sequence[Record], token: object) -> list[object]:
        """Fold `records`, send the outputs; gives the tokens of the batches committed meanwhile.

        Records below the position are skipped: they were folded. Records beyond it come from before
        a rebalance and are ignored; when the one that is due stays away, GapError ends the worker.
        """
        due = self._next_in_line(records)
        committed = self.settle(wait_for=IN_FLIGHT - 1)
        if due:
            started = time.monotonic()
            outputs = self._fold.apply(due)
            self.fold_seconds = time.monotonic() - started
            offset, value = due[-1]
            position = Position(
                offset=offset + 1, digest=record_digest(value), topic_id=self.folded.topic_id
            )
            self.folded = self._fold.advance(position)
            deliveries = [self._outbox.send(output) for output in outputs]
            changes, on_commit = self._fold.take_changes(), self._fold.on_commit()
            self._pending.append(_Pending(deliveries, self.folded, changes, token, on_commit))
        self._fold.check_gap(time.monotonic())
        return committed if due else [*committed, token]

    def settle(self, wait_for: int | None = None) -> list[object]:
        """Commit every batch whose outputs are all acknowledged; gives their tokens, in order.

        Waits until at most `wait_for` batches are pending (None: does not wait). Raises
        DeliveryError, Fenced, StoreUnavailable: each of them ends the process.
        """
        committed: list[object] = []
        while self._pending:
            oldest = self._pending[0]
            must_wait = wait_for is not None and len(self._pending) > wait_for
            if not self._outbox.delivered(oldest.deliveries, wait=must_wait):
                break
            started = time.monotonic()
            self._store.commit(oldest.position, oldest.changes)
            oldest.on_commit(time.monotonic() - started)
            self._pending.popleft()
            self.committed = oldest.position
            committed.append(oldest.token)
        if committed:
            in_flight = {
                key: None
                for batch in self._pending
                for key in (*batch.changes.rows, *batch.changes.gone)
            }
            self._fold.evict(in_flight)
        return committed

    @property
    def pending(self) -> int:
        """Batches that are folded but not committed."""
        return len(self._pending)

    def _next_in_line(self, records: Sequence[Record]) -> list[Record]:
        expected = self.folded.offset
        due: list[Record] = []
        for record in records:
            if record[0] == expected:
                due.append(record)
                expected += 1
        if due or not records or records[-1][0] < expected:
            self._skipped_since = None if due else self._skipped_since
            return due
        now = time.monotonic()
        if self._skipped_since is None:
            self._skipped_since = now
        elif now - self._skipped_since > SKIP_PATIENCE_SECONDS:
            message = f"offset {expected} is due, but the log gives {records[0][0]} and later"
            raise GapError(message)
        return due
