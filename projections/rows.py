"""The rows that a fold works on: a cache over checked reads, and what changed since a commit.

Pure: what reads and commits stands behind `RowReader` (Redis in `projections.store`, a dict in
`MemoryReader`). A fold asks for all keys of a batch at once (`load`), changes the row objects that
it gets, and says so (`put`). `take_changes` then gives the bytes to commit; the objects stay
cached, so that the next batch can be folded before the commit of this one is confirmed
(architecture.md section 3, rule 3: a row stays cached until the commit that holds it is confirmed).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Generic, Protocol, TypeVar

R = TypeVar("R")


class RowReader(Protocol):
    """Rows as of one position. Raises `Fenced` when another writer has moved the position."""

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The committed bytes of each key, in order; None where there is none."""

    def due(self, until: int) -> list[str]:
        """Keys whose committed due instant is at or before `until` (microseconds)."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one batch changed: rows to write, and due instants (old, new) to index, by key.

    `gone` are the keys of rows to remove; none of them is among `rows`.
    """

    rows: dict[str, bytes] = field(default_factory=dict)
    due: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


class Rows(Generic[R]):
    """Cached rows of one fold in one partition. Not for use by two threads."""

    def __init__(
        self,
        reader: RowReader,
        encode: Callable[[R], bytes],
        decode: Callable[[bytes], R],
        due_at: Callable[[R], int | None] | None = None,
    ) -> None:
        self._reader, self._encode, self._decode = reader, encode, decode
        self._due_at = due_at
        self._cached: dict[str, R | None] = {}
        self._indexed: dict[str, int | None] = {}
        self._changed: dict[str, None] = {}
        self._watched: dict[str, int] = {}
        self._soonest: list[tuple[int, str]] = []  # a heap; what no longer holds is dropped late

    def load(self, keys: Iterable[str]) -> None:
        """Read whatever of `keys` is not cached, in one call."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._cached]
        if not missing:
            return
        for key, raw in zip(missing, self._reader.read(missing), strict=True):
            row = None if raw is None else self._decode(raw)
            self._cached[key] = row
            self._indexed[key] = None
            if row is not None and self._due_at is not None:
                self._indexed[key] = due = self._due_at(row)
                self._watch(key, due)

    def holds(self, key: str) -> bool:
        """Is the row cached, or that there is none?"""
        return key in self._cached

    def get(self, key: str) -> R | None:
        """The row of `key`, None where there is none yet; reads it if it is not cached."""
        if key not in self._cached:
            self.load((key,))
        return self._cached[key]

    def put(self, key: str, row: R) -> None:
        """`row` is new or was changed; `key` must have been loaded."""
        assert key in self._cached, key
        self._cached[key] = row
        self._changed[key] = None
        if self._due_at is not None:
            self._watch(key, self._due_at(row))

    def remove(self, key: str) -> None:
        """There is no such row any more; `key` must have been loaded."""
        assert key in self._cached, key
        self._cached[key] = None
        self._changed[key] = None

    def change_all(self, keys: Sequence[str], new: Callable[[], R]) -> list[R]:
        """The row of each key, a new one where there is none; all are changed.

        For rows of which nothing falls due, many at a time.
        """
        self.load(keys)
        rows = []
        for key in keys:
            row = self._cached[key]
            if row is None:
                row = self._cached[key] = new()
            self._changed[key] = None
            rows.append(row)
        return rows

    def _watch(self, key: str, due: int | None) -> None:
        if due is not None and due != self._watched.get(key):
            self._watched[key] = due
            heappush(self._soonest, (due, key))

    def due(self, until: int) -> list[str]:
        """Keys, by code point, of which something is due at or before `until`; loads them."""
        stored = [key for key in self._reader.due(until) if key not in self._cached]
        self.load(stored)
        return self.due_in_cache(until)

    def due_in_cache(self, until: int) -> list[str]:
        """`due` of cached rows alone: all, where `due` was asked of a time as late before."""
        assert self._due_at is not None
        found = set()
        while self._soonest and self._soonest[0][0] <= until:
            at, key = heappop(self._soonest)
            row = self._cached.get(key)
            if row is not None and self._due_at(row) == at:
                found.add((at, key))
            elif self._watched.get(key) == at:
                del self._watched[key]
        for entry in found:
            heappush(self._soonest, entry)
        return sorted(key for _, key in found)

    def take_changes(self) -> Changes:
        """The bytes of every row put since the last call, and the due instants that moved."""
        changes = Changes()
        for key in self._changed:
            row = self._cached[key]
            if row is None:
                changes.gone.append(key)
            else:
                changes.rows[key] = self._encode(row)
            if self._due_at is None:
                continue
            before, after = self._indexed[key], None if row is None else self._due_at(row)
            if before != after:
                changes.due[key] = (before, after)
                self._indexed[key] = after
        self._changed.clear()
        return changes

    def evict(self, keep: int, pending: Mapping[str, object]) -> None:
        """Forget the longest-cached rows beyond `keep`, but none that is `pending` or changed."""
        surplus = len(self._cached) - keep
        if surplus <= 0:
            return
        for key in list(self._cached)[:surplus]:
            if key not in pending and key not in self._changed:
                del self._cached[key], self._indexed[key]
                self._watched.pop(key, None)


class MemoryReader:
    """Rows in a dict: for the simulator, the reference folds, rebuilds of a check, and tests."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self._due: dict[str, int] = {}

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The bytes of each key, None where there are none."""
        return [self.rows.get(key) for key in keys]

    def due(self, until: int) -> list[str]:
        """Keys due at or before `until`."""
        return [key for key, due in self._due.items() if due <= until]

    def commit(self, changes: Changes) -> None:
        """Apply what `Rows.take_changes` gave."""
        self.rows.update(changes.rows)
        for key in changes.gone:
            self.rows.pop(key, None)
        for key, (_, after) in changes.due.items():
            if after is None:
                self._due.pop(key, None)
            else:
                self._due[key] = after
