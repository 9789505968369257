"""Several reads of live rows are of one position, though it moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from projections.fold.position import Position
from projections.fold.snapshot import Snapshot, SnapshotReader
from projections.reading import fixed
from projections.reading.fixed import FixedRows, Moved, read_fixed


@dataclass
class Moving:
    """Rows `n`, all of the value of the position; each take is at the next of `offsets`."""

    offsets: dict[str, list[int]]
    takes: list[tuple[str, int, bool]] = field(default_factory=list)

    def take(self, _partition: int, stage: str, keys: Sequence[str] | None = None) -> Snapshot:
        """As `SnapshotReader` has it."""
        left = self.offsets[stage]
        offset = left.pop(0) if len(left) > 1 else left[0]
        self.takes.append((stage, offset, keys is None))
        value = str(offset).encode()
        rows = dict.fromkeys(keys or ("a", "b"), value)
        return Snapshot("1", Position(offset, reached=(offset, 0, 0)), rows)


def reader(**offsets: list[int]) -> SnapshotReader:
    """A reader whose stages move so."""
    return Moving(offsets)  # type: ignore[return-value]


def both(readers: Sequence[FixedRows]) -> list[bytes | None]:
    """Two reads of each stage."""
    return [rows.read([key])[0] for rows in readers for key in ("a", "b")]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixed, "_PAUSE_SECONDS", 0)


def test_reads_of_two_positions_are_asked_again() -> None:
    assert read_fixed(reader(s=[1, 2, 3, 3]), 0, ("s",), both) == [b"3", b"3"]


def test_a_position_that_always_moves_is_read_whole() -> None:
    moving = reader(s=list(range(1, 100)))
    first, second = read_fixed(moving, 0, ("s",), both)
    assert first == second
    assert isinstance(moving, Moving)
    assert moving.takes[-1][2]


def test_two_stages_are_read_at_one_place() -> None:
    moving = reader(r=[2, 2, 3, 3], s=[1, 1, 3, 3])
    assert read_fixed(moving, 0, ("r", "s"), both) == [b"3"] * 4


def test_a_stage_that_stays_behind_is_read_as_it_stands() -> None:
    assert read_fixed(reader(r=[2], s=[1]), 0, ("r", "s"), both) == [b"2", b"2", b"1", b"1"]


def test_a_rebuild_that_switches_is_a_move() -> None:
    rows = FixedRows(reader(s=[1, 2]), 0, "s")
    rows.read(["a"])
    with pytest.raises(Moved):
        rows.read(["b"])
