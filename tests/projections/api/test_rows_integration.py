"""Rows for many at once on a real Redis: of one moment, of the live namespace, or refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import redis

from projections.api.fixed import HeldRows, read_fixed
from projections.api.rows import LiveRows
from projections.api.watch import ROUND_SECONDS, Watch
from projections.fold.connection import live_redis_client
from projections.fold.position import Position
from projections.fold.retry import Patience
from projections.fold.snapshot import Snapshot
from projections.fold.store import PartitionStore, base_key
from projections.rows import Changes
from schemas.errors import StoreUnavailable

pytestmark = pytest.mark.integration
STAGES = ("rating", "balances")


@asynccontextmanager
async def live(redis_url: str, prefix: str) -> AsyncIterator[LiveRows]:
    """The reader."""
    client = live_redis_client(redis_url)
    try:
        yield LiveRows(client, prefix)
    finally:
        await client.aclose()


class Writer:
    """A stage's worker, that commits."""

    def __init__(self, redis_url: str, prefix: str, stage: str, partition: int = 0) -> None:
        self._store = PartitionStore(
            redis.Redis.from_url(redis_url), prefix, partition, stage, Patience(5)
        )
        self._store.open()

    def commit(self, at: int, gone: Sequence[str] = (), **rows: str) -> None:
        """Rows with the position, and those that are there no more."""
        changes = Changes({key: value.encode() for key, value in rows.items()}, {}, [*gone])
        self._store.commit(Position(at, reached=(at, 0, 0)), changes)


def test_many_ask_at_once_and_each_gets_its_own(redis_url: str, topic_prefix: str) -> None:
    for stage in STAGES:
        Writer(redis_url, topic_prefix, stage).commit(7, a="1", b=stage)

    async def ask() -> None:
        async with live(redis_url, topic_prefix) as rows:
            slots = [(0, stage) for stage in STAGES]
            answers = await asyncio.gather(
                *(rows.take({slot: ["a", f"none{n}"] for slot in slots}) for n in range(50)),
                rows.take({(0, "balances"): ["b"]}),
                rows.take({(3, "balances"): ["a"]}),
            )
            for taken in answers[:50]:
                assert [taken[slot].rows for slot in slots] == [{"a": b"1"}] * 2
                assert {found.position.reached for found in taken.values()} == {(7, 0, 0)}
            assert answers[50][0, "balances"].rows == {"b": b"balances"}
            assert answers[51][3, "balances"] == Snapshot(), "no worker has been there"

    asyncio.run(ask())


def test_a_rebuild_that_switches_is_followed(redis_url: str, topic_prefix: str) -> None:
    Writer(redis_url, topic_prefix, "balances").commit(1, a="old")
    client = redis.Redis.from_url(redis_url)
    base = base_key(topic_prefix, 0, "balances")

    async def ask() -> None:
        async with live(redis_url, topic_prefix) as rows:
            slot = (0, "balances")
            assert (await rows.take({slot: ["a"]}))[slot].rows == {"a": b"old"}
            client.hset(f"{base}:2:rows", "a", "new")
            client.set(f"{base}:2:position", Position(2).encode())
            client.set(base, "2")
            taken = (await rows.take({slot: ["a"]}))[slot]
            assert (taken.namespace, taken.rows, taken.position.offset) == ("2", {"a": b"new"}, 2)

    asyncio.run(ask())


def test_rows_found_one_after_the_other_are_of_one_position(
    redis_url: str, topic_prefix: str
) -> None:
    """A chain of rows, rewritten at each position while it is walked."""
    writer = Writer(redis_url, topic_prefix, "balances")
    length, asked = 12, 0

    def at(position: int) -> None:
        writer.commit(position, **{f"k{n}": f"{position}" for n in range(length)})

    at(1)

    def walk(held: dict[str, HeldRows]) -> list[bytes | None]:
        nonlocal asked
        asked += 1
        if asked < 3 * length and asked % 3 == 0:
            at(1 + asked)
        return [held["balances"].read([f"k{n}"])[0] for n in range(length)]

    async def ask() -> list[bytes | None]:
        async with live(redis_url, topic_prefix) as rows:
            return await read_fixed(rows, 0, {"balances": {"k0": None}}, walk)

    found = asyncio.run(ask())
    assert asked > length
    assert len(set(found)) == 1, found


def test_rows_of_several_positions_are_asked_about_and_never_believed(
    redis_url: str, topic_prefix: str
) -> None:
    """What does not fit together may fail whoever is asked: that is no answer, and no bug."""
    writer = Writer(redis_url, topic_prefix, "balances")
    writer.commit(1, list="a", a="1")
    moved = False

    def follow(held: dict[str, HeldRows]) -> bytes:
        nonlocal moved
        (name,) = held["balances"].read(["list"])
        assert name is not None
        if not moved:
            moved = True
            writer.commit(2, gone=["a"], list="b", b="2")
        (found,) = held["balances"].read([name.decode()])
        assert found is not None, "the list says that it is there"
        return found

    async def ask() -> bytes:
        async with live(redis_url, topic_prefix) as rows:
            return await read_fixed(rows, 0, {"balances": {"list": None}}, follow)

    assert asyncio.run(ask()) == b"2"

    def wrong(held: dict[str, HeldRows]) -> bytes:
        held["balances"].read(["list", "b"])
        raise AssertionError("of one position")

    async def ask_wrongly() -> bytes:
        async with live(redis_url, topic_prefix) as rows:
            return await read_fixed(rows, 0, {"balances": {"list": None}}, wrong)

    with pytest.raises(AssertionError, match="of one position"):
        asyncio.run(ask_wrongly())


def test_who_waits_is_told_once_it_is_so_and_not_before(redis_url: str, topic_prefix: str) -> None:
    writers = [Writer(redis_url, topic_prefix, stage) for stage in STAGES]

    async def ask() -> None:
        async with live(redis_url, topic_prefix) as rows:
            watch = Watch(rows)

            def judge(wanted: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
                return lambda _rating, balances: (
                    balances.rows.get("a") if balances.position.offset >= wanted else None
                )

            waiting = [
                asyncio.create_task(watch.until(0, ["a"], judge(wanted), 20))
                for wanted in (1, 2, 2)
            ]
            for at in (1, 2):
                await asyncio.sleep(0.1)
                assert not waiting[at].done()
                for writer in writers:
                    writer.commit(at, a=str(at))
            assert [await each for each in waiting] == [b"1", b"2", b"2"]
            assert await watch.until(0, ["a"], judge(3), 0.1) is None

            def broken(_rating: Snapshot, _balances: Snapshot) -> int:
                raise ValueError("judged")

            with pytest.raises(ValueError, match="judged"):
                await watch.until(0, [], broken, 20)

    asyncio.run(ask())


def test_a_judge_is_asked_once_for_each_position(redis_url: str, topic_prefix: str) -> None:
    writers = [Writer(redis_url, topic_prefix, stage) for stage in STAGES]
    for writer in writers:
        writer.commit(1, a="1")
    asked: list[tuple[int, int]] = []
    again = asyncio.Event()

    def judge(rating: Snapshot, balances: Snapshot) -> bytes | None:
        asked.append((rating.position.offset, balances.position.offset))
        again.set()
        return balances.rows.get("a") if balances.position.offset == 2 else None

    async def ask() -> bytes | None:
        async with live(redis_url, topic_prefix) as rows:
            waiting = asyncio.create_task(Watch(rows).until(0, ["a"], judge, 20))
            for writer in writers:
                await again.wait()
                again.clear()
                await asyncio.sleep(10 * ROUND_SECONDS)  # so many rounds, in which nothing moves
                writer.commit(2, a="2")
            return await waiting

    assert asyncio.run(ask()) == b"2"
    assert asked == [(1, 1), (2, 1), (2, 2)]


def test_a_redis_that_is_gone_is_said_so() -> None:
    async def ask() -> None:
        async with live("redis://127.0.0.1:1/0", "nobody") as rows:
            with pytest.raises(StoreUnavailable):
                await rows.take({(0, "balances"): ["a"]})

    asyncio.run(ask())
