"""Folding a partition again from its first record into a fresh namespace, then switching to it.

The workers go on meanwhile. The rebuilt rows are folded up to exactly the live position, outputs
discarded (they were written before that position was committed), and one script switches the
pointer if the live position has not moved. A running worker is then fenced by the pointer, and its
successor resumes from the same position in the new rows. What was there is compared, then freed.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from itertools import islice
from typing import Any, Final, cast

from redis.exceptions import ResponseError

from projections.fold.kind import StageKind
from projections.fold.log import Log
from projections.fold.position import Position, record_digest
from projections.fold.snapshot import SnapshotReader
from projections.fold.stage import Fold, Record
from projections.fold.store import PartitionStore
from schemas.errors import Fenced, LogReplacedError, ProgressError, StoreError

FRAMES_PER_BATCH: Final = 16
CATCH_UP_SECONDS: Final = 60.0
_PARTS: Final = ("position", "rows", "due")
_SWITCH: Final = resources.files(__package__).joinpath("switch.lua").read_text()
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of a partition: rows now, the record it stands at, rows that had been different."""

    stage: str
    partition: int
    offset: int
    rows: int
    differing: list[str] = field(default_factory=list)
    same_position: bool = True


@dataclass(frozen=True, slots=True)
class Rebuilder:
    """Rebuilds one stage's partitions."""

    kind: StageKind
    log: Log
    snapshots: SnapshotReader

    def rebuild(self, partition: int, progress: Progress = lambda _records: None) -> Rebuilt:
        """Rebuild and switch; `progress` is told records folded.

        Raises LogReplacedError when the input log is not there from its start, Fenced when another
        rebuild runs, ProgressError when the live position moves faster than it can be met.
        """
        live = self.snapshots.take(partition, self.kind.name, ())
        if live.namespace is None or not live.position.offset:
            return Rebuilt(self.kind.name, partition, 0, 0)
        self._check_log(partition, live.position)
        building = str(int(live.namespace) + 1)
        self.free(partition, building)
        target = _Target(self, partition, live.namespace, building)
        target.fold_to(live.position.offset, progress)
        target.catch_up(progress)
        return target.compare_and_free()

    def _check_log(self, partition: int, position: Position) -> None:
        low, _ = self.log.bounds(self.kind.reads.name, [partition])[partition]
        if low:
            raise LogReplacedError(
                f"{self.kind.reads.name} [{partition}] begins at {low}: what was folded from before"
                " it cannot be folded again"
            )
        self.log.check(self.kind.reads.name, partition, position)

    def free(self, partition: int, namespace: str) -> None:
        """Free a namespace's keys; Redis does the work in the background (UNLINK)."""
        keys = [self.key(partition, namespace, part) for part in _PARTS]
        building = f"{self.snapshots.pointer(partition, self.kind.name)}:building"
        self.snapshots.patience.run(lambda: self.snapshots.client.unlink(building, *keys))

    def key(self, partition: int, namespace: str, part: str) -> str:
        """The key of one part of a namespace."""
        return self.snapshots.key(partition, self.kind.name, namespace, part)


class _Target:
    """The namespace being built: its fold, its store, and a copy of its rows to compare with."""

    def __init__(self, of: Rebuilder, partition: int, live: str, building: str) -> None:
        self._of, self._partition, self._live, self._building = of, partition, live, building
        self._topic, self._reader = of.kind.reads.name, of.snapshots
        self._store = PartitionStore(
            self._reader.client,
            self._reader.key_prefix,
            partition,
            of.kind.name,
            self._reader.patience,
            building,
        )
        if self._store.open() is not None or self._store.namespace != building:
            raise Fenced(f"another rebuild of {of.kind.name} [{partition}] runs")
        self._position = Position(topic_id=of.log.topic_id(self._topic))
        self._fold: Fold = of.kind.make_fold(partition, self._position, self._store)
        self._rows: dict[str, bytes] = {}
        self._fetched: deque[Record] = deque()
        self._switched_at = Position()

    def fold_to(self, offset: int, progress: Progress) -> None:
        """Fold all records below `offset`, which the log holds."""
        records = self._records(offset)
        while batch := list(islice(records, FRAMES_PER_BATCH)):
            self._fold.apply(batch)
            last, value = batch[-1]
            self._position = self._fold.advance(
                Position(last + 1, record_digest(value), self._position.topic_id)
            )
            changes = self._fold.take_changes()
            self._store.commit(self._position, changes)
            self._fold.evict({})
            self._rows.update(changes.rows)
            for key in changes.gone:
                self._rows.pop(key, None)
            progress(len(batch))

    def catch_up(self, progress: Progress) -> None:
        """Meet the live position and switch."""
        give_up = time.monotonic() + CATCH_UP_SECONDS
        while time.monotonic() < give_up:
            self._fetch()
            while (live := self._live_position()).offset <= self._fetched_to():
                self.fold_to(live.offset, progress)
                if self._switch(live):
                    self._switched_at = live
                    return
        raise ProgressError(
            f"{self._of.kind.name} [{self._partition}] moves on faster than it can be met:"
            " rebuild again when less is flowing, or with its worker stopped"
        )

    def compare_and_free(self) -> Rebuilt:
        """What the old rows, now frozen, had different from the new ones; then they are freed."""
        of = self._of
        key = of.key(self._partition, self._live, "rows")
        held = self._reader.patience.run(partial(self._reader.client.hgetall, key))
        old = {name.decode(): row for name, row in cast("dict[bytes, bytes]", held).items()}
        differing = sorted(
            name for name in old.keys() | self._rows.keys() if old.get(name) != self._rows.get(name)
        )
        of.free(self._partition, self._live)
        return Rebuilt(
            of.kind.name,
            self._partition,
            self._position.offset,
            len(self._rows),
            differing,
            self._switched_at == self._position,
        )

    def _records(self, end: int) -> Iterator[Record]:
        """What was fetched, then what the log gives, up to `end`."""
        start = self._position.offset
        while self._fetched and start < end:
            record = self._fetched.popleft()
            start = record[0] + 1
            yield record
        for read in self._of.log.read(self._topic, self._partition, start, end):
            yield read[0], read[2]

    def _fetched_to(self) -> int:
        return self._fetched[-1][0] + 1 if self._fetched else self._position.offset

    def _fetch(self) -> None:
        """Take what the log holds now, so that the live position is met without waiting for it."""
        end = self._of.log.ends(self._topic, [self._partition])[self._partition]
        for record in self._of.log.read(self._topic, self._partition, self._fetched_to(), end):
            self._fetched.append((record[0], record[2]))

    def _live_position(self) -> Position:
        of = self._of
        live = of.snapshots.take(self._partition, of.kind.name, ())
        if live.namespace != self._live:
            raise Fenced(f"another rebuild of {of.kind.name} [{self._partition}] has switched")
        return live.position

    def _switch(self, live: Position) -> bool:
        of, at = self._of, self._partition
        base = self._reader.pointer(at, of.kind.name)
        keys = [base, of.key(at, self._live, "position"), of.key(at, self._building, "position")]
        script = self._reader.client.register_script(_SWITCH)
        arguments = [self._live, self._building, live.encode(), self._position.encode()]
        try:
            answer: Any = self._reader.patience.run(
                lambda: script(keys=[*keys, f"{base}:building"], args=arguments)
            )
        except ResponseError as error:
            if str(error).startswith("FENCED"):
                raise Fenced(str(error)) from error
            raise StoreError(str(error)) from error
        return bool(answer == b"switched")
