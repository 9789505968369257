"""Reading all accounts of a partition while workers run, a few at a time.

Each account is as of one position: its rows are read together, and its retired grants by the list
that its row begins, which only grows at its head. Different accounts are as of different positions,
for a scan takes as long as it must not to be felt: it sleeps four times what it works.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, cast

from projections.balances.books import decode_account, hot_key, retired_key, terms_key
from projections.balances.row import BalanceRow
from projections.balances.stage import STAGE
from projections.balances.standing import Standing
from projections.balances.wire import RetiredRow, decode_row
from projections.fold.snapshot import Snapshot, SnapshotReader
from schemas.errors import StoreUnavailable

_ROWS: Final = 500
_ACCOUNTS: Final = "a:*"
"""Hot rows: `projections.balances.books`."""
_IDLE: Final = 4
_ATTEMPTS: Final = 3


def scan(
    reader: SnapshotReader, partition: int, until: int, sleep: Callable[[float], object]
) -> Standing:
    """The standing of a partition; empty where no worker has opened it.

    A rebuild that switches meanwhile makes it begin again. Raises StoreUnavailable.
    """
    for _ in range(_ATTEMPTS):
        namespace = reader.take(partition, STAGE, ()).namespace
        if namespace is None:
            return Standing(until)
        try:
            return _Scan(reader, partition, namespace, until).run(sleep)
        except _Switched:
            continue
    raise StoreUnavailable(f"the rows of partition {partition} were switched again and again")


class _Switched(Exception):
    """The namespace that is read is no longer the live one."""


class _Scan:
    """One pass over the rows of a namespace."""

    def __init__(self, reader: SnapshotReader, partition: int, namespace: str, until: int) -> None:
        self._reader, self._partition, self._namespace = reader, partition, namespace
        self._standing = Standing(until)
        self._seen: set[str] = set()  # HSCAN may give a key twice

    def run(self, sleep: Callable[[float], object]) -> Standing:
        """What was found. Raises _Switched."""
        cursor = 0
        while True:
            started = time.monotonic()
            cursor, names = self._step(cursor)
            self._take(names)
            if cursor == 0:
                self._check()  # rows that were deleted after a switch look like the end
                return self._standing
            sleep(_IDLE * (time.monotonic() - started))

    def _step(self, cursor: int) -> tuple[int, list[str]]:
        """The next cursor, and names of accounts that were not seen before."""
        rows = self._reader.key(self._partition, STAGE, self._namespace, "rows")
        client = self._reader.client

        def ask() -> tuple[int, dict[bytes, bytes]]:
            answer = client.hscan(rows, cursor, match=_ACCOUNTS, count=_ROWS)
            return cast("tuple[int, dict[bytes, bytes]]", answer)

        after, found = self._reader.patience.run(ask)
        names = [name for name in (key.decode()[2:] for key in found) if name not in self._seen]
        self._seen.update(names)
        return after, names

    def _take(self, names: Sequence[str]) -> None:
        raw = self._read([key for name in names for key in (hot_key(name), terms_key(name))])
        rows = []
        for name in names:
            row = decode_account(name, raw.get)
            assert row is not None, name
            self._standing.add(row)
            rows.append(row)
        self._take_retired(rows)

    def _take_retired(self, rows: Sequence[BalanceRow]) -> None:
        """Their retired grants, all accounts' latest first, then those before them."""
        heads = {row.account: row.last_retired for row in rows if row.last_retired is not None}
        while heads:
            keys = {name: retired_key(name, grant) for name, grant in heads.items()}
            raw = self._read(list(keys.values()))
            heads = {}
            for name, key in keys.items():
                retired = decode_row(raw[key])
                assert isinstance(retired, RetiredRow), key
                self._standing.add_grant(retired.grant)
                if retired.before is not None:
                    heads[name] = retired.before

    def _read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Rows by key, all as of one position. Raises _Switched."""
        if not keys:
            return {}
        snapshot = self._reader.take(self._partition, STAGE, keys)
        self._check(snapshot)
        return snapshot.rows

    def _check(self, snapshot: Snapshot | None = None) -> None:
        snapshot = snapshot or self._reader.take(self._partition, STAGE, ())
        if snapshot.namespace != self._namespace:
            raise _Switched
