"""What tells one Faust stage from another: what it reads, and the fold it makes. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass

from projections.fold.lag import Received
from projections.fold.position import Position
from projections.fold.stage import Fold
from projections.rows import RowReader
from schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class StageKind:
    """`make_fold(partition, position, rows)` gives a fold with empty memory.

    `received` says when a record's events were received (`projections.fold.lag`), `outcomes` how
    they can end, beside by a reason code.
    """

    name: str
    reads: Topic
    make_fold: Callable[[int, Position, RowReader], Fold]
    received: Received = lambda _value: None
    outcomes: tuple[str, ...] = ()
