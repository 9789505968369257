"""A question to Redis that another thread asks, while this one goes on with what it has."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Asked(Generic[T]):
    """`ask`, which is idempotent, asked on a thread of `executor`."""

    def __init__(self, ask: Callable[[], T], executor: Executor) -> None:
        self._ask = ask
        self._future: Future[T] | None = executor.submit(ask)

    @property
    def answered(self) -> bool:
        """Whether `answer` need not wait."""
        return self._future is not None and self._future.done()

    def answer(self) -> T:
        """Wait for the answer and raise what asking raised; called again, asks again, here."""
        future, self._future = self._future, None
        return self._ask() if future is None else future.result()
