"""An account's alerts, a page at a time, in either direction. Pure but for what it is given.

The topic may hold an alert again (a crossing has one id): a page has each once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

MOST_RECORDS: Final = 20_000
"""Records that one page looks at."""
_FIRST_CHUNK: Final = 200
_LONGEST_CHUNK: Final = 5_000

Read = Callable[[int, int], Iterator[tuple[int, bytes | None, bytes]]]
"""Offsets, keys and values of records from an offset up to another."""


@dataclass(slots=True)
class AlertPage:
    """CloudEvents, and the offset where the next page begins; None: there are no more."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    after: int | None = None
    _ids: set[str] = field(default_factory=set)

    def add(self, event: dict[str, Any]) -> None:
        """One more, unless it is a repeat."""
        if event["id"] not in self._ids:
            self._ids.add(event["id"])
            self.alerts.append(event)


def oldest_first(
    read: Read, bounds: tuple[int, int], account: str, start: int | None, limit: int
) -> AlertPage:
    """The account's alerts from an offset on (None: from the beginning)."""
    low, high = bounds
    at, page = max(low, start or low), AlertPage()
    until = min(high, at + MOST_RECORDS)
    for offset, key, value in read(at, until):
        if key == account.encode():
            if len(page.alerts) == limit:
                page.after = offset
                return page
            page.add(msgspec.json.decode(value))
    if until < high:
        page.after = until
    return page


def newest_first(
    read: Read, bounds: tuple[int, int], account: str, start: int | None, limit: int
) -> AlertPage:
    """The account's alerts before an offset (None: the end), the latest first."""
    low, high = bounds
    begin = high if start is None else min(high, start)
    last, page, chunk = begin, AlertPage(), _FIRST_CHUNK
    while begin > low and last - begin < MOST_RECORDS:
        begin, before = max(low, begin - chunk), begin
        chunk = min(2 * chunk, _LONGEST_CHUNK)
        mine = [(at, value) for at, key, value in read(begin, before) if key == account.encode()]
        for offset, value in reversed(mine):
            if len(page.alerts) == limit:
                page.after = offset + 1
                return page
            page.add(msgspec.json.decode(value))
    if begin > low:
        page.after = begin
    return page
