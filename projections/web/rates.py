"""How fast each key may send: a token bucket that holds a few seconds' worth. Pure."""

from dataclasses import dataclass
from typing import Final

_SECOND: Final = 1_000_000_000
BURST_SECONDS: Final = 2


@dataclass(slots=True)
class Bucket:
    """`per_second` events, `BURST_SECONDS` of them at once. Times are nanoseconds that only rise.

    What is kept is in billionths of an event: no fraction of one is lost.
    """

    per_second: int
    last: int
    level: int | None = None

    def take(self, events: int, now: int) -> int:
        """Take `events` and give 0, or take none and give the nanoseconds until they may come.

        A request of more than the bucket holds is let in when it is full, and paid off after.
        """
        full = BURST_SECONDS * self.per_second * _SECOND
        level = full
        if self.level is not None:
            level = min(full, self.level + (now - self.last) * self.per_second)
        need = min(events * _SECOND, full)
        self.last = now
        if level < need:
            self.level = level
            return -(-(need - level) // self.per_second)
        self.level = level - events * _SECOND
        return 0
