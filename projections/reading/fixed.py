"""Several reads of live rows as of one position, though workers go on.

What is read next may depend on what was read, so one MULTI is not enough: each read says at which
position it was answered, and where that has moved, all is asked again. Where it moves too often,
the partition's rows are read whole, once.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from projections.fold.position import Position
from projections.fold.snapshot import Snapshot, SnapshotReader
from projections.rows import RowReader

ATTEMPTS: Final = 20
_PAUSE_SECONDS: Final = 0.02
T = TypeVar("T")


class PlacedRows(RowReader, Protocol):
    """Rows of one stage, all of one position, which is known once something was read."""

    @property
    def position(self) -> Position: ...  # noqa: D102 - says it all


class Moved(Exception):
    """The position is not the one of the reads before."""


class FixedRows:
    """A `RowReader` of one stage in one partition, all of whose answers are of one position."""

    def __init__(self, snapshots: SnapshotReader, partition: int, stage: str) -> None:
        self._snapshots, self._partition, self._stage = snapshots, partition, stage
        self._first: Snapshot | None = None
        self._whole = False

    @property
    def position(self) -> Position:
        """Where the rows were read: of the start of the log where no worker has been yet."""
        assert self._first is not None, "nothing was read"
        return self._first.position

    def take_whole(self) -> None:
        """Read every row now, and answer from them."""
        self._first, self._whole = self._snapshots.take(self._partition, self._stage), True

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The bytes of each key, None where there are none. Raises Moved, StoreUnavailable."""
        if self._whole:
            assert self._first is not None
            return [self._first.rows.get(key) for key in keys]
        taken = self._snapshots.take(self._partition, self._stage, list(keys))
        if self._first is None:
            self._first = taken
        if (taken.namespace, taken.position) != (self._first.namespace, self._first.position):
            raise Moved
        return [taken.rows.get(key) for key in keys]

    def due(self, until: int) -> list[str]:
        """Nothing: who reads asks for accounts by name."""
        del until
        return []


def read_fixed(
    snapshots: SnapshotReader,
    partition: int,
    stages: Sequence[str],
    ask: Callable[[Sequence[FixedRows]], T],
) -> T:
    """What `ask` gives, all of whose reads of a stage are of one position; it may be asked again.

    Of several stages, until they have reached the same place in the journal; where they are apart
    for long, as they stand. Raises StoreUnavailable.
    """
    for _ in range(ATTEMPTS):
        readers = [FixedRows(snapshots, partition, stage) for stage in stages]
        try:
            answer = ask(readers)
        except Moved:
            time.sleep(_PAUSE_SECONDS)
            continue
        if len({reader.position.reached for reader in readers}) == 1:
            return answer
        time.sleep(_PAUSE_SECONDS)
    return ask(read_whole(snapshots, partition, stages))


def read_whole(snapshots: SnapshotReader, partition: int, stages: Sequence[str]) -> list[FixedRows]:
    """Every row of the stages, of the same place in the journal where that can be had."""
    readers = [FixedRows(snapshots, partition, stage) for stage in stages]
    for _ in range(ATTEMPTS):
        for reader in readers:
            reader.take_whole()
        if len({reader.position.reached for reader in readers}) == 1:
            break
        time.sleep(_PAUSE_SECONDS)
    return readers
