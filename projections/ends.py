"""Ends of workers by reason, counted in Redis by the worker that ends.

A counter in memory is gone with its process, and where nobody supervises (a container, a pod) no
other process saw why it ended. So a worker adds 1 to a small sorted set, and `drawdown exporter`
shows what stands there. It has `TELL_SECONDS` for it, whatever Redis does: longer than that no
worker that must end lives on. For so long it is what a process that was stopped and woken up is:
what it writes is skipped, what it commits is refused (architecture.md section 3).

Not counted here: a process that was killed, and an end for which Redis itself is the cause.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, cast

import redis

from projections.access import Redis
from projections.fold.connection import redis_client
from schemas.ends import reason_of
from schemas.errors import exit_code_of

logger = logging.getLogger("drawdown")

TELL_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 1.0
_BETWEEN: Final = "/"

Ends = Mapping[tuple[str, str], int]
"""By worker and reason."""


class _Process:
    count: Callable[[str], None] | None = None
    """Taken by the first thread that ends the process; any other finds none."""
    lock: Final = threading.Lock()


def of_workers(key_prefix: str) -> str:
    """The key of admission, rating and balances: where they may write."""
    return f"{key_prefix}:{{0}}:ends"


def of_webhooks(key_prefix: str) -> str:
    """The key of the dispatcher."""
    return f"{key_prefix}:{{webhooks}}:ends"


def count_as(worker: str, store: Redis, key: str) -> None:
    """The end of this process by an error counts as that worker's, from now on."""

    def count(reason: str) -> None:
        with redis_client(store, _ANSWER_SECONDS) as client:
            client.zadd(key, {f"{worker}{_BETWEEN}{reason}": 1}, incr=True)

    _Process.count = count


def tell(error: BaseException) -> None:
    """Count the end of this process, once; returns within `TELL_SECONDS`. Raises nothing.

    A second thread that ends the process meanwhile waits for the first.
    """
    if not _Process.lock.acquire(timeout=TELL_SECONDS):
        return
    try:
        count, _Process.count = _Process.count, None
        if count is not None:
            reason = reason_of(exit_code_of(error))
            thread = threading.Thread(target=_try, args=(count, reason), daemon=True)
            thread.start()
            thread.join(TELL_SECONDS)
    except RuntimeError as failure:  # no thread can be started any more
        logger.warning("the end is not counted: %s", failure)
    finally:
        _Process.lock.release()


@contextmanager
def told() -> Iterator[None]:
    """What is raised inside ends the process, and is counted as such."""
    try:
        yield
    except Exception as error:
        tell(error)
        raise


def read(client: redis.Redis, key_prefix: str) -> Ends:
    """What was counted."""
    found: dict[tuple[str, str], int] = {}
    for key in (of_workers(key_prefix), of_webhooks(key_prefix)):
        listed = cast("list[tuple[bytes, float]]", client.zrange(key, 0, -1, withscores=True))
        found |= {_named(name.decode()): int(count) for name, count in listed}
    return found


def grown(before: Ends, now: Ends) -> Ends:
    """What was added. Pure.

    A Redis that comes back older, or empty, has less: what it lost was told, and is not told again.
    """
    more = {which: count - before.get(which, 0) for which, count in now.items()}
    return {which: count for which, count in more.items() if count > 0}


def _named(name: str) -> tuple[str, str]:
    worker, _, reason = name.partition(_BETWEEN)
    return worker, reason


def _try(count: Callable[[str], None], reason: str) -> None:
    try:
        count(reason)
    except Exception as error:  # noqa: BLE001 - the process ends for a better reason
        logger.warning("the end is not counted: %s", error)
