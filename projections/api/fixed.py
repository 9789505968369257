"""An answer out of rows that are found one after the other, all of one position of each stage.

A pure function asks for rows as it goes, over a `RowReader`. What it lacks is read, and it is asked
again from the start; in the end everything that it read is of one MULTI, or of one position.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from projections.api.rows import LiveRows, Slot, Taken
from projections.fold.position import Position
from projections.fold.snapshot import Snapshot
from schemas.errors import StoreUnavailable

T = TypeVar("T")
Wanted = dict[str, dict[str, None]]
"""Keys by stage, in the order in which they were asked for."""
_ATTEMPTS: Final = 500
"""Reads of one answer: the longest chain of rows is a page of retired grants."""
_WHOLE: Final = 20


class Missing(Exception):
    """Rows that were asked for and not read yet."""

    def __init__(self, slot: Slot, keys: Sequence[str]) -> None:
        super().__init__(slot, keys)
        self.slot, self.keys = slot, keys


@dataclass
class HeldRows:
    """What was read of a slot: a `RowReader` that raises Missing for everything else."""

    slot: Slot
    snapshot: Snapshot
    asked: set[str]
    hints: dict[str, bytes] = field(default_factory=dict)

    @property
    def position(self) -> Position:
        """Where the rows were read."""
        return self.snapshot.position

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The bytes of each key, None where there are none. Raises Missing."""
        if missing := [key for key in keys if key not in self.asked]:
            raise Missing(self.slot, missing)
        return [self.hints.get(key) for key in keys]

    def due(self, until: int) -> list[str]:
        """Nothing: who reads asks for accounts by name."""
        del until
        return []


async def read_fixed(
    rows: LiveRows,
    partition: int,
    wanted: Wanted,
    ask: Callable[[dict[str, HeldRows]], T],
) -> T:
    """What `ask` gives of the rows of one position of each stage.

    `wanted` are the keys to begin with; those that `ask` asks for are added. It is pure, for it may
    be asked often. Raises StoreUnavailable, and what `ask` raises.
    """
    for _ in range(_WHOLE):
        taken = await _take(rows, partition, wanted)
        held = {
            slot[1]: HeldRows(slot, snapshot, set(wanted[slot[1]]), dict(snapshot.rows))
            for slot, snapshot in taken.items()
        }
        exact = True
        for _ in range(_ATTEMPTS):
            try:
                answer = ask(held)
            except Missing as missing:
                exact &= await _more(rows, held, missing)
                wanted[missing.slot[1]].update(dict.fromkeys(missing.keys))
            except Exception:
                if exact:
                    raise
                break  # what is of several positions need not fit together
            else:
                if exact:
                    return answer
                break
    raise StoreUnavailable("the rows move faster than they can be read")


async def _take(rows: LiveRows, partition: int, wanted: Wanted) -> Taken:
    return await rows.take({(partition, stage): keys for stage, keys in wanted.items()})


async def _more(rows: LiveRows, held: dict[str, HeldRows], missing: Missing) -> bool:
    """Read what was missing; whether it is of the position of what was read before."""
    of = held[missing.slot[1]]
    taken = (await rows.take({missing.slot: missing.keys}))[missing.slot]
    of.asked.update(missing.keys)
    of.hints.update(taken.rows)
    before = of.snapshot
    return (taken.namespace, taken.position) == (before.namespace, before.position)
