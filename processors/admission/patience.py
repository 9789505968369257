"""Waiting for Redis or Kafka: try again with growing pauses, and say so.

Nothing is acknowledged meanwhile (architecture.md section 3, failure table: "Redis or Kafka
unreachable").
"""

from collections.abc import Callable
from typing import Final, TypeVar

from processors.admission.observe import Status
from projections.metrics.errors import failed
from schemas.errors import LogUnavailable, StoreUnavailable

LEAST_WAIT: Final = 0.05
MOST_WAIT: Final = 2.0

T = TypeVar("T")


class Stopped(Exception):
    """The wait ended because the worker is stopping."""


class Patience:
    """Repeats a call until it succeeds. `pause` waits some seconds and serves deliveries."""

    def __init__(
        self, status: Status, stopping: Callable[[], bool], pause: Callable[[float], None]
    ) -> None:
        self._status, self._stopping, self._pause = status, stopping, pause

    def until_done(self, call: Callable[[], T]) -> T:
        """What `call` returns. Raises Stopped, or what is not mended by waiting.

        `call` is idempotent: it may have taken effect although no answer came.
        """
        wait = LEAST_WAIT
        while True:
            try:
                result = call()
            except (StoreUnavailable, LogUnavailable) as error:
                self._status.waiting(str(error))
                failed(error)
                if self._stopping():
                    raise Stopped from error
                self._pause(wait)
                wait = min(wait * 2, MOST_WAIT)
            else:
                self._status.waiting(None)
                return result
