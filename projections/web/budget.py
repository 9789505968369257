"""Bytes of bodies that a process holds, bounded in sum. Pure.

Each body is bounded, and so is the number of requests; their product would still be gigabytes.
"""

from typing import Final

SHARE: Final = "drawdown.share"
"""Where a request's scope has its `Share`: `middleware.Bounded` puts it there, and ends it."""


class Budget:
    """At most `most` bytes at a time; `held` is what all shares come to."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0


class Share:
    """What one request holds of a budget."""

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: Budget) -> None:
        self._budget, self._held = budget, 0

    @property
    def most(self) -> int:
        """What all shares may come to."""
        return self._budget.most

    def hold(self, count: int) -> bool:
        """Hold `count` bytes from now on, in place of those before.

        False where that is more than is left: then nothing has changed.
        """
        held = self._budget.held + count - self._held
        if count > self._held and held > self._budget.most:
            return False
        self._budget.held, self._held = held, count
        return True

    def end(self) -> None:
        """Hold nothing any more."""
        self.hold(0)
