"""Waiting out an outage of Redis: keep retrying with backoff, say so, and give up at last.

Every call that goes through here is safe to repeat: reads are checked, commits and claims compare
before they write and know their own result again (architecture.md section 3).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from redis import exceptions as redis_errors

from projections.metrics.errors import failed as count_failure
from projections.refusals import redis_refusal
from schemas.errors import ConfigurationError, StoreUnavailable

T = TypeVar("T")
_PASSING: Final = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.BusyLoadingError,
    redis_errors.ReadOnlyError,
    OSError,
)
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 2.0


@dataclass(slots=True)
class Patience:
    """How long an outage is waited out; `waiting` is told its cause, and None when it is over."""

    seconds: float = 60.0
    waiting: Callable[[str | None], None] = field(default=lambda _cause: None)
    stopping: Callable[[], bool] = field(default=lambda: False)

    def run(self, call: Callable[[], T]) -> T:
        """The call's answer. Raises StoreUnavailable after `seconds`, or when stopping.

        A Redis that refuses this client is not waited for: ConfigurationError.
        """
        give_up = time.monotonic() + self.seconds
        pause = _FIRST_PAUSE_SECONDS
        failed = False
        while True:
            try:
                answer = call()
            except _PASSING as error:
                raise_refusal(error)
                failed = True
                count_failure(error)
                self.waiting(f"redis: {error}")
                if self.stopping() or time.monotonic() + pause > give_up:
                    message = f"Redis does not answer: {error}"
                    raise StoreUnavailable(message) from error
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            except redis_errors.ResponseError as error:
                raise_refusal(error)
                raise
            else:
                if failed:
                    self.waiting(None)
                return answer


def raise_refusal(error: BaseException) -> None:
    """Raises ConfigurationError where `error` says that Redis will not have this client."""
    if refusal := redis_refusal(error):
        raise ConfigurationError(refusal) from error
