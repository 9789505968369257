"""What others see of a running worker: its status for health, its counts for metrics."""

from dataclasses import dataclass, field
from typing import Protocol

from projections.logs import say_wait


@dataclass
class Status:
    """The worker's state now. Times are of the monotonic clock, in seconds.

    `joined` is whether its group has taken it in, perhaps with no partition.
    `waiting_for` names what the worker cannot reach ("Redis: …"), None when all is well; `lag` is
    how many usage records of each owned partition are not yet acknowledged in the journal.
    """

    waiting_for: str | None = None
    joined: bool = False
    last_progress: float = 0.0
    partitions: tuple[int, ...] = ()
    lag: dict[int, int] = field(default_factory=dict)

    def waiting(self, cause: str | None) -> None:
        """The worker waits for a server, or (None) no longer does."""
        say_wait(self.waiting_for, cause)
        self.waiting_for = cause


class Observer(Protocol):
    """Where the worker counts. Calls come from its one thread and must return at once."""

    def outcome(self, name: str, count: int) -> None:
        """`count` raw records ended as `name`: accepted, tick, document or a reason code."""

    def claimed(self, keys: int, seconds: float) -> None:
        """One claim call of `keys` keys took `seconds`."""

    def batch(self, records: int, frames: int, seconds: float) -> None:
        """`records` records of one partition were decided and sent as `frames` frames."""

    def acknowledged(self) -> None:
        """Redis has stored up to where the journal holds a partition's records."""


class Unobserved:
    """An observer that counts nothing."""

    def outcome(self, name: str, count: int) -> None:
        """Nothing."""

    def claimed(self, keys: int, seconds: float) -> None:
        """Nothing."""

    def batch(self, records: int, frames: int, seconds: float) -> None:
        """Nothing."""

    def acknowledged(self) -> None:
        """Nothing."""
