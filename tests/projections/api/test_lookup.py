"""How many requests look usage up at a time."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import pytest

from projections.api.lookup import MOST_UNDER_WAY, LookUps
from projections.fold.log import Log
from projections.web.problem import Problem
from schemas.documents import SetSeats, VoidUsage

T = TypeVar("T")
VOID = VoidUsage(id="v1", account="acme", source="api", event="e1")
SEATS = SetSeats(id="s1", account="acme", contract="k", seats=3)
UNREAD = Log.__new__(Log)
"""No read gets as far as it."""


def test_one_reads_some_wait_and_more_are_refused() -> None:
    reading, most = 0, 0

    async def run() -> None:
        look_ups, done = LookUps(), asyncio.Event()

        async def scan(_read: Callable[[], T]) -> T:
            nonlocal reading, most
            reading += 1
            most = max(most, reading)
            await done.wait()
            reading -= 1
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "read")

        waiting = [
            asyncio.create_task(look_ups.entered([VOID], UNREAD, scan))
            for _ in range(MOST_UNDER_WAY)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="than are taken at a time"):
            await look_ups.entered([VOID], UNREAD, scan)
        assert await look_ups.entered([SEATS], UNREAD, scan) == [SEATS], "it needs no ledger"
        done.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(each) for each in found] == ["read"] * MOST_UNDER_WAY
        with pytest.raises(Problem, match="read"):
            await look_ups.entered([VOID], UNREAD, scan)

    asyncio.run(run())
    assert most == 1
