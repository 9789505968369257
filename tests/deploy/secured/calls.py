"""Who called what on Redis: MONITOR tells every call and the address that it came from.

Each user comes through a proxy with a loopback address of its own, so an address is a user. What a
script calls stands behind the script itself, and is its user's.
"""

import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import redis

from projections.access import RedisAccess

_LUA: Final = "lua"
_OF_CONNECTIONS: Final = {"auth", "hello"}
"""Nobody needs to be allowed these."""
_OF_TWO_WORDS: Final = {"memory", "script"}
_WAIT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """A command as rules name it, and the keys that it was given."""

    command: str
    keys: tuple[str, ...]


class Calls:
    """What every user has called since this was made; `users` by their addresses."""

    def __init__(self, admin: RedisAccess, users: Mapping[str, str], prefix: str) -> None:
        self._admin, self._users, self._prefix = admin, users, prefix
        self._seen: dict[str, set[Call]] = {user: set() for user in users.values()}
        self._echoed: set[str] = set()
        self._ended: Exception | None = None
        # Of what may be silent for as long as nobody calls anything.
        self._client = redis.Redis.from_url(admin.url, socket_timeout=None, **admin.options())
        self._monitor = self._client.monitor()  # type: ignore[no-untyped-call]
        self._monitor.__enter__()
        threading.Thread(target=self._listen, name="calls", daemon=True).start()

    def of(self, user: str) -> set[Call]:
        """What a user has called by now."""
        self._catch_up()
        return set(self._seen[user])

    def commands(self, user: str) -> set[str]:
        """The names of it."""
        return {call.command for call in self.of(user)}

    def _catch_up(self) -> None:
        """Wait until all that was called before is seen."""
        mark, give_up = secrets.token_hex(), time.monotonic() + _WAIT_SECONDS
        with redis.Redis.from_url(self._admin.url, **self._admin.options()) as client:
            client.echo(mark)
        while mark not in self._echoed:
            assert self._ended is None, self._ended
            assert time.monotonic() < give_up, "MONITOR tells no more"
            time.sleep(0.02)

    def _listen(self) -> None:
        user: str | None = None
        try:
            for told in self._monitor.listen():
                if told["client_type"] != _LUA:
                    user = self._users.get(told["client_address"])
                self._take(user, told)
        except (redis.RedisError, OSError, ValueError) as error:  # the server has ended
            self._ended = error

    def _take(self, user: str | None, told: Mapping[str, Any]) -> None:
        name, *words = told["command"].split(" ")
        name = name.lower()
        if name == "echo":
            self._echoed.update(words)
        if user is None or name in _OF_CONNECTIONS:
            return
        if name in _OF_TWO_WORDS:
            name = f"{name}|{words[0].lower()}"
        keys = tuple(word for word in words if word.startswith(f"{self._prefix}:"))
        self._seen[user].add(Call(name, keys))


def touched(pattern: str, calls: Iterable[Call], writing: set[str]) -> bool:
    """Whether a call used a rule's pattern for what it allows: `%R~…` any, `~…` one that writes."""
    rights, _, glob = pattern.partition("~")
    return any(
        fnmatchcase(key, glob)
        for call in calls
        if rights == "%R" or call.command in writing
        for key in call.keys
    )
