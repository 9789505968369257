"""What `drawdown rebuild` does: a stage's partitions one after another, and what came of each."""

from collections.abc import Iterator
from typing import Final

from deploy.reading.surroundings import surroundings
from deploy.settings import Settings
from processors.rating.stage import RATING
from projections.balances.stage import BALANCES
from projections.fold.rebuild import Rebuilder, Rebuilt

KINDS: Final = {"rating": (RATING,), "balances": (BALANCES,), "all": (RATING, BALANCES)}
_SHOWN_KEYS: Final = 10


def rebuilt(settings: Settings, stage: str) -> Iterator[str]:
    """Fold `stage` (of `KINDS`) again and switch to it; a line for each partition, when done.

    Raises ProgressError, LogReplacedError, LogUnavailable, StoreError.
    """
    around = surroundings(settings)
    for kind in KINDS[stage]:
        builder = Rebuilder(kind, around.log, around.snapshots)
        for number in around.partitions():
            yield _line(builder.rebuild(number))


def _line(made: Rebuilt) -> str:
    where = f"{made.stage} [{made.partition}]"
    if not made.offset:
        return f"{where}: nothing folded yet"
    said = f"{where}: {made.rows:,} rows up to offset {made.offset:,}"
    if not made.differing and made.same_position:
        return f"{said}, byte-identical to what was there"
    listed = ", ".join(made.differing[:_SHOWN_KEYS])
    position = "" if made.same_position else "; the position had been different"
    return f"{said}, {len(made.differing):,} had been different: {listed}{position}"
