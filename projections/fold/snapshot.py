"""What a stage holds of a partition, read at one moment and without taking part in it.

One MULTI in the partition's slot gives the pointer, the position and the rows together, so they
belong to each other though workers run. Reading never writes: a partition that no worker has opened
yet is empty here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

import redis

from projections.fold.position import Position, decode_position
from projections.fold.retry import Patience
from projections.fold.store import base_key, due_of
from schemas.errors import StoreError

_ATTEMPTS: Final = 5
Client = redis.Redis


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows of one namespace at one position; `namespace` is None where there is none yet.

    `due` is the index of what falls due, (instant, key) by instant; only where all rows were asked.
    """

    namespace: str | None = None
    position: Position = field(default_factory=Position)
    rows: dict[str, bytes] = field(default_factory=dict)
    due: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SnapshotReader:
    """Reads every stage's partitions under one key prefix."""

    client: Client
    key_prefix: str
    patience: Patience

    def pointer(self, partition: int, stage: str) -> str:
        """The key of the namespace pointer."""
        return base_key(self.key_prefix, partition, stage)

    def key(self, partition: int, stage: str, namespace: str, part: str) -> str:
        """The key of a `part` (position, rows, due) of a namespace, as `PartitionStore` has it."""
        return f"{self.pointer(partition, stage)}:{namespace}:{part}"

    def take(self, partition: int, stage: str, keys: Sequence[str] | None = None) -> Snapshot:
        """The live rows (all of them, or those of `keys`) and their position.

        All rows of a partition are one HGETALL: some milliseconds of Redis for 10,000 of them. A
        rebuild that switches meanwhile is waited out by reading again. Raises StoreUnavailable.
        """
        pointer = self.pointer(partition, stage)
        for _ in range(_ATTEMPTS):
            live = cast("bytes | None", self.patience.run(partial(self.client.get, pointer)))
            if live is None:
                return Snapshot()
            read = partial(self._read, partition, stage, live.decode(), keys)
            if (taken := self.patience.run(read)) is not None:
                return taken
        raise StoreError(f"the namespace of {pointer} moved {_ATTEMPTS} times while it was read")

    def _read(
        self, partition: int, stage: str, namespace: str, keys: Sequence[str] | None
    ) -> Snapshot | None:
        rows_key = self.key(partition, stage, namespace, "rows")
        pipeline = self.client.pipeline(transaction=True)
        pipeline.get(self.pointer(partition, stage))
        pipeline.get(self.key(partition, stage, namespace, "position"))
        if keys is None:
            pipeline.hgetall(rows_key)
            pipeline.zrange(self.key(partition, stage, namespace, "due"), 0, -1)
        elif keys:
            pipeline.hmget(rows_key, list(keys))
        answers: list[Any] = pipeline.execute()
        live, position, *rest = answers
        if live is None or live.decode() != namespace:
            return None
        rows: dict[str, bytes] = {}
        due: list[tuple[int, str]] = []
        if keys is None:
            rows = {key.decode(): row for key, row in rest[0].items()}
            due = [due_of(member) for member in rest[1]]
        elif keys:
            rows = {key: row for key, row in zip(keys, rest[0], strict=True) if row is not None}
        found = decode_position(position.decode()) if position else Position()
        return Snapshot(namespace, found, rows, due)
