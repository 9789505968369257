"""Rows for many requests at once: what is asked while one read is under way is the next read.

Each read is one MULTI, so all that a request asks for is of one moment: rows of several stages with
their positions. Under load a round trip is shared by everybody who waits.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from projections.fold.position import Position, decode_position
from projections.fold.snapshot import Snapshot
from projections.fold.store import base_key
from projections.metrics.errors import failed
from schemas.errors import StoreError, StoreUnavailable

Slot = tuple[int, str]
"""A partition and a stage."""
Wanted = Mapping[Slot, Iterable[str]]
Taken = dict[Slot, Snapshot]
_ATTEMPTS: Final = 5


@dataclass(slots=True)
class _Ask:
    wanted: dict[Slot, list[str]]
    answer: asyncio.Future[Taken]
    attempts: int = 0


@dataclass
class LiveRows:
    """Reads every stage's partitions under one key prefix, from one event loop."""

    client: Redis
    key_prefix: str
    _namespaces: dict[Slot, str] = field(default_factory=dict)
    _asks: list[_Ask] = field(default_factory=list)
    _reading: asyncio.Task[None] | None = None

    async def take(self, wanted: Wanted) -> Taken:
        """Of each slot the live rows of those keys that are there, and their position.

        Empty, at the start of the log, where no worker has been yet. Raises StoreUnavailable.
        """
        asked = {slot: list(keys) for slot, keys in wanted.items()}
        ask = _Ask(asked, asyncio.get_running_loop().create_future())
        self._asks.append(ask)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await ask.answer

    async def namespace(self, slot: Slot) -> str | None:
        """The live namespace of a slot, None where no worker has been. Raises StoreUnavailable."""
        return (await self.take({slot: ()}))[slot].namespace

    async def _read(self) -> None:
        while self._asks:
            asks, self._asks = self._asks, []
            try:
                await self._round(asks)
            except (RedisError, OSError) as error:
                failed(error)
                self._namespaces.clear()
                failure = StoreUnavailable(f"Redis does not answer: {error}")
                for ask in asks:
                    _fail(ask, failure)
            except Exception as error:  # noqa: BLE001 - whoever asked is told, nobody waits for ever
                for ask in asks:
                    _fail(ask, error)

    async def _round(self, asks: list[_Ask]) -> None:
        slots: dict[Slot, dict[str, None]] = {}
        for ask in asks:
            for slot, keys in ask.wanted.items():
                slots.setdefault(slot, {}).update(dict.fromkeys(keys))
        await self._find([slot for slot in slots if slot not in self._namespaces])
        known = {slot: list(keys) for slot, keys in slots.items() if slot in self._namespaces}
        read = await self._multi(known) if known else {}
        for slot in [slot for slot, snapshot in read.items() if snapshot is None]:
            del self._namespaces[slot]
        for ask in asks:
            self._answer(ask, read)

    async def _find(self, slots: list[Slot]) -> None:
        if not slots:
            return
        keys = [base_key(self.key_prefix, *slot) for slot in slots]
        pointers = cast("list[bytes | None]", await self.client.mget(keys))
        for slot, live in zip(slots, pointers, strict=True):
            if live is not None:
                self._namespaces[slot] = live.decode()

    async def _multi(self, known: dict[Slot, list[str]]) -> dict[Slot, Snapshot | None]:
        """One MULTI; None for a slot whose namespace has moved."""
        pipeline = self.client.pipeline(transaction=True)
        for slot, keys in known.items():
            pointer = base_key(self.key_prefix, *slot)
            base = f"{pointer}:{self._namespaces[slot]}"
            pipeline.get(pointer)
            pipeline.get(f"{base}:position")
            if keys:
                pipeline.hmget(f"{base}:rows", keys)
        answers: list[Any] = await pipeline.execute()
        found: dict[Slot, Snapshot | None] = {}
        at = 0
        for slot, keys in known.items():
            live, position = answers[at : at + 2]
            rows = answers[at + 2] if keys else ()
            at += 3 if keys else 2
            namespace = self._namespaces[slot]
            if live is None or live.decode() != namespace:
                found[slot] = None
                continue
            placed = decode_position(position.decode()) if position else Position()
            held = {key: row for key, row in zip(keys, rows, strict=True) if row is not None}
            found[slot] = Snapshot(namespace, placed, held)
        return found

    def _answer(self, ask: _Ask, read: dict[Slot, Snapshot | None]) -> None:
        """What was read of it; asked again where a namespace has moved."""
        if ask.answer.done():
            return  # who asked has gone
        taken: Taken = {}
        for slot, keys in ask.wanted.items():
            snapshot = read.get(slot, _NOTHING)
            if snapshot is None:
                self._again(ask)
                return
            rows = snapshot.rows
            held = {key: rows[key] for key in keys if key in rows}
            taken[slot] = Snapshot(snapshot.namespace, snapshot.position, held)
        ask.answer.set_result(taken)

    def _again(self, ask: _Ask) -> None:
        ask.attempts += 1
        if ask.attempts < _ATTEMPTS:
            self._asks.append(ask)
        else:
            _fail(ask, StoreError(f"a namespace moved {_ATTEMPTS} times while it was read"))


_NOTHING: Final = Snapshot()


def _fail(ask: _Ask, error: Exception) -> None:
    if not ask.answer.done():
        ask.answer.set_exception(error)
