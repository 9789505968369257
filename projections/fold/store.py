"""The rows and the position of one stage in one partition, in Redis (architecture.md, rule 3).

All keys of a partition share one hash slot. Which *namespace* of rows is live stands in a pointer
in that slot, so that a rebuild can fill another one beside it and switch in one step. Every script
checks the pointer; every read names the position it expects, and is refused (`Fenced`) when it
differs.
"""

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, Final, cast

import redis
from redis.exceptions import ResponseError

from projections.fold.position import Position, decode_position
from projections.fold.retry import Patience, raise_refusal
from projections.rows import Changes
from schemas.errors import Fenced, StoreError

_SCRIPT: Final = resources.files(__package__).joinpath("store.lua").read_text()
FIRST_NAMESPACE: Final = "1"
_DUE_DIGITS: Final = 20


def base_key(prefix: str, partition: int, stage: str) -> str:
    """The pointer's key; `{partition}` is the hash tag that keeps a partition in one slot."""
    return f"{prefix}:{{{partition}}}:{stage}"


class PartitionStore:
    """One stage's rows in one partition, as seen by one worker.

    With `building`, the rows of a namespace that is being built beside the live one.

    `open` first; then `read` and `due` answer as of the position last opened or committed. Calls
    wait out an outage as `patience` says and then raise StoreUnavailable; Fenced means that another
    worker (or a restored Redis) holds another position, and that this one must end.
    """

    def __init__(
        self,
        client: redis.Redis,
        prefix: str,
        partition: int,
        stage: str,
        patience: Patience,
        building: str | None = None,
    ) -> None:
        self._client, self._patience = client, patience
        self._script = client.register_script(_SCRIPT)
        self._base = base_key(prefix, partition, stage)
        self._pointer = self._base if building is None else f"{self._base}:building"
        self.namespace = building or FIRST_NAMESPACE
        self._expected = ""

    def open(self) -> Position | None:
        """Take the live namespace (made when there is none) and its position, None at the start."""
        self._patience.run(self._find_namespace)
        raw = cast("bytes | None", self._patience.run(lambda: self._client.get(self._keys()[1])))
        self._expected = raw.decode() if raw else ""
        return decode_position(self._expected) if raw else None

    def _find_namespace(self) -> None:
        self._client.set(self._pointer, self.namespace, nx=True)
        live = cast("bytes | None", self._client.get(self._pointer))
        if live is None:
            message = f"the namespace pointer {self._pointer} vanished"
            raise StoreError(message)
        self.namespace = live.decode()

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The rows of `keys`, None for each that there is not. Raises Fenced, StoreUnavailable."""
        answer: list[bytes | None] = self._call("read", self._expected, *keys)
        return answer

    def due(self, until: int) -> list[str]:
        """Keys that are due at or before `until`, microseconds."""
        found: list[bytes] = self._call("due", self._expected, f"{until + 1:0{_DUE_DIGITS}d}")
        return [member[_DUE_DIGITS:].decode() for member in found]

    def commit(self, position: Position, changes: Changes) -> None:
        """Store `changes` and `position` in one step; may be repeated when its answer was lost."""
        target = position.encode()
        rows = [part for item in changes.rows.items() for part in item]
        past = [_due(old, key) for key, (old, _) in changes.due.items() if old is not None]
        come = [
            part
            for key, (_, new) in changes.due.items()
            if new is not None
            for part in ("0", _due(new, key))
        ]
        arguments: list[str | bytes] = [target]
        for part_list in (rows, changes.gone, past, come):
            arguments.append(str(len(part_list)))
            arguments.extend(part_list)
        self._call("commit", self._expected, *arguments)
        self._expected = target

    def _keys(self) -> tuple[str, str, str, str]:
        base = f"{self._base}:{self.namespace}"
        return (self._pointer, f"{base}:position", f"{base}:rows", f"{base}:due")

    def _call(self, operation: str, *arguments: str | bytes) -> Any:  # noqa: ANN401 - per operation
        return self._patience.run(
            lambda: _fenced(
                lambda: self._script(
                    keys=self._keys(), args=[operation, self.namespace, *arguments]
                )
            )
        )


def due_of(member: bytes) -> tuple[int, str]:
    """The instant and the key of a member of the due index."""
    text = member.decode()
    return int(text[:_DUE_DIGITS]), text[_DUE_DIGITS:]


def _due(instant: int, key: str) -> str:
    return f"{instant:0{_DUE_DIGITS}d}{key}"


def _fenced(call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the script answers
    try:
        return call()
    except ResponseError as error:
        raise_refusal(error)
        if str(error).startswith("FENCED"):
            raise Fenced(str(error)) from error
        raise StoreError(str(error)) from error
