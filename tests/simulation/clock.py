"""Virtual time. An instance stands in for the module `time` wherever the pipeline looks at it."""

from typing import Final

from schemas.times import SECOND

MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE


class Clock:
    """Microseconds since the epoch, moved on by the world and by whoever sleeps."""

    def __init__(self, now: int) -> None:
        self.now = now

    def advance(self, microseconds: int) -> None:
        """Time passes."""
        self.now += microseconds

    def sleep(self, seconds: float) -> None:
        """As `time.sleep`, at once."""
        self.now += int(seconds * SECOND)

    def monotonic(self) -> float:
        """As `time.monotonic`."""
        return self.now / SECOND

    def perf_counter(self) -> float:
        """As `time.perf_counter`."""
        return self.now / SECOND

    def time(self) -> float:
        """As `time.time`."""
        return self.now / SECOND

    def time_ns(self) -> int:
        """As `time.time_ns`."""
        return self.now * 1_000
