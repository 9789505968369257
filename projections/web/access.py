"""Who asks, and how much they may send: what every service asks of a request's key."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from projections.web.keyring import KeyRing
from projections.web.keys import Key, Scope
from projections.web.problem import Problem
from projections.web.rates import Bucket

_NANOSECONDS: Final = 1_000_000_000


@dataclass
class Access:
    """`keys` of None lets in whoever asks: for trying, on loopback only."""

    keys: KeyRing | None
    clock: Callable[[], int] = time.monotonic_ns
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    @property
    def fault(self) -> str | None:
        """Why the file's present keys are not in force."""
        return None if self.keys is None else self.keys.fault

    def key(self, authorization: str, scope: Scope) -> Key | None:
        """The key of a request by its Authorization header, None where none is needed.

        Raises Problem 401, and 403 where the key lacks the scope.
        """
        if self.keys is None:
            return None
        scheme, _, token = authorization.partition(" ")
        key = self.keys.keys.of(token.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            problem = Problem(HTTPStatus.UNAUTHORIZED, "no valid API key: `Authorization: Bearer`")
            problem.headers["www-authenticate"] = "Bearer"
            raise problem
        if not key.permits(scope):
            raise Problem(HTTPStatus.FORBIDDEN, f"this key lacks the scope {scope}")
        return key

    def limit(self, key: Key | None, events: int) -> None:
        """Raises Problem 429 when the key sends faster than it may: events, documents, commands."""
        if key is None or key.events_per_second is None:
            return
        now = self.clock()
        bucket = self._buckets.get(key.id)
        if bucket is None or bucket.per_second != key.events_per_second:
            bucket = self._buckets[key.id] = Bucket(key.events_per_second, now)
        wait = bucket.take(events, now)
        if wait:
            detail = f"this key may send {key.events_per_second} events a second"
            seconds = -(-wait // _NANOSECONDS)
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, retry_after=seconds)
