"""How many frames are folded and committed at a time: few at first, more while folding is quick.

A batch that is not committed is no progress, and folding costs up to a thousand times more for one
row than for another. A worker whose batch outlasts the watchdog's patience would be ended, and its
successor would meet the same batch: so sizes grow from one frame, and shrink when folding is slow.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from faust.types import EventT

MOST_FRAMES: Final = 64
MOST_BYTES: Final = 4_000_000
"""Of a batch of several frames: memory holds them decoded."""
SLOW_SECONDS: Final = 2.0
"""A batch that takes longer is followed by one of half its size."""
_QUICK_SECONDS: Final = SLOW_SECONDS / 4


class Batches:
    """Cuts what was taken from the log into batches; `took` says how long one was folded."""

    def __init__(self) -> None:
        self._frames = 1

    def cut(self, events: Sequence[EventT[Any]]) -> Iterator[tuple[int, list[EventT[Any]]]]:
        """The events by partition, in order, each batch as large as is right by then."""
        by_partition: dict[int, list[EventT[Any]]] = defaultdict(list)
        for event in events:
            by_partition[event.message.partition].append(event)
        for number, found in by_partition.items():
            start = 0
            while start < len(found):
                batch = found[start : start + self._fitting(found[start:])]
                start += len(batch)
                yield number, batch

    def took(self, seconds: float) -> None:
        """How long a batch was folded."""
        if seconds > SLOW_SECONDS:
            self._frames = max(1, self._frames // 2)
        elif seconds < _QUICK_SECONDS:
            self._frames = min(MOST_FRAMES, self._frames * 2)

    def _fitting(self, events: Sequence[EventT[Any]]) -> int:
        """How many of the first events make a batch: one at least."""
        size = 0
        for count, event in enumerate(events[: self._frames]):
            size += len(event.message.value or b"")
            if count and size > MOST_BYTES:
                return count
        return min(len(events), self._frames)
