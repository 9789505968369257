"""One contract for whatever keeps a stage's rows: the store in Redis and the dict in memory."""

# ruff: noqa: D102 - the name of each test is its sentence

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.fold.position import Position
from projections.fold.retry import Patience
from projections.fold.store import PartitionStore
from projections.rows import Changes, MemoryReader, Rows

Due = tuple[int | None, int | None]


class Keeper(Protocol):
    """What keeps rows, each commit one position further."""

    def read(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def due(self, until: int) -> list[str]: ...

    def put(self, changes: Changes) -> None: ...


class InMemory(MemoryReader):
    """The dict."""

    def put(self, changes: Changes) -> None:
        self.commit(changes)


class InRedis(PartitionStore):
    """The store, each commit one position further."""

    at = 0

    def put(self, changes: Changes) -> None:
        self.at += 1
        self.commit(Position(self.at), changes)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def keeper(request: pytest.FixtureRequest) -> Iterator[Keeper]:
    """The adapters of the contract."""
    if request.param == "memory":
        yield InMemory()
        return
    url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("topic_prefix")
    with redis.Redis.from_url(url) as client:
        store = InRedis(client, prefix, 0, "balances", Patience(5.0))
        store.open()
        yield store


def changes(rows: Mapping[str, bytes], due: Mapping[str, Due] | None = None) -> Changes:
    return Changes(dict(rows), dict(due or {}))


def test_what_was_committed_is_read_in_the_order_asked(keeper: Keeper) -> None:
    keeper.put(changes({"a": b"1", "b": b"2"}))
    assert keeper.read(["b", "x", "a", "b"]) == [b"2", None, b"1", b"2"]
    assert keeper.read([]) == []


def test_a_later_commit_replaces_its_rows_and_no_others(keeper: Keeper) -> None:
    keeper.put(changes({"a": b"1", "b": b"2"}))
    keeper.put(changes({"a": b""}))
    assert keeper.read(["a", "b"]) == [b"", b"2"]


def test_a_commit_without_changes_is_one(keeper: Keeper) -> None:
    keeper.put(changes({}))
    assert keeper.due(1 << 60) == []


def test_a_row_goes_with_what_is_due_of_it_and_may_come_back(keeper: Keeper) -> None:
    keeper.put(changes({"a": b"1", "b": b"2"}, {"a": (None, 5), "b": (None, 5)}))
    keeper.put(Changes({"c": b"3"}, {"a": (5, None)}, ["a", "never there"]))
    assert keeper.read(["a", "b", "c"]) == [None, b"2", b"3"]
    assert keeper.due(9) == ["b"]
    keeper.put(changes({"a": b"4"}))
    assert keeper.read(["a"]) == [b"4"]


def test_keys_and_values_are_any_text_and_any_bytes(keeper: Keeper) -> None:
    every_byte = bytes(range(256))
    rows = {"q:ü|p|{}|-5": every_byte, "a:1 2": b"\r\n", "": b"no name", "\U0001f4a7": b"\0"}
    keeper.put(changes(rows, dict.fromkeys(rows, (None, 7))))
    assert keeper.read(list(rows)) == list(rows.values())
    assert sorted(keeper.due(7)) == sorted(rows)


def test_due_is_at_or_before_and_in_order_of_time_not_of_text(keeper: Keeper) -> None:
    far = 253_402_300_799_999_999
    instants = {"a": 9, "b": 10, "c": 100, "d": 0, "e": far, "f": -5}
    keeper.put(changes(dict.fromkeys(instants, b""), {k: (None, v) for k, v in instants.items()}))
    for until in (0, 8, 9, 10, 99, 100, far - 1, far):
        expected = sorted(key for key, due in instants.items() if due <= until)
        assert sorted(keeper.due(until)) == expected, until


def test_a_due_instant_moves_and_goes(keeper: Keeper) -> None:
    keeper.put(changes({"a": b"", "b": b""}, {"a": (None, 5), "b": (None, 5)}))
    keeper.put(changes({"a": b"", "b": b""}, {"a": (5, 9), "b": (5, None)}))
    assert keeper.due(8) == []
    assert keeper.due(9) == ["a"]


@pytest.mark.parametrize("count", [3_999, 4_000, 4_001, 8_001, 25_000])
def test_many_rows_are_one_commit(keeper: Keeper, count: int) -> None:
    """Lua's stack holds about 8000 values: the script works in parts, still in one step."""
    rows = {f"account-{n}": str(n).encode() for n in range(count)}
    keeper.put(changes(rows, {key: (None, n) for n, key in enumerate(rows)}))
    assert keeper.read(list(rows)) == list(rows.values())
    assert len(keeper.due(count)) == count
    keeper.put(changes(rows, {key: (n, None) for n, key in enumerate(rows)}))
    assert keeper.due(count) == []
    keeper.put(Changes(gone=list(rows)))
    assert keeper.read(list(rows)) == [None] * count


def test_big_values_are_kept_whole(keeper: Keeper) -> None:
    big = bytes(range(256)) * 32_768
    keeper.put(changes({"big": big, "small": b"1"}))
    assert keeper.read(["small", "big"]) == [b"1", big]


class _Row:
    """A value, and when something is due."""

    def __init__(self, value: int, due: int | None) -> None:
        self.value, self.due = value, due

    def encode(self) -> bytes:
        return f"{self.value},{'' if self.due is None else self.due}".encode()


def _decode(raw: bytes) -> _Row:
    value, due = raw.decode().split(",")
    return _Row(int(value), int(due) if due else None)


def cache(keeper: Keeper) -> Rows[_Row]:
    return Rows(keeper, _Row.encode, _decode, lambda row: row.due)


_step = st.tuples(
    st.sampled_from("abcde"),
    st.integers(0, 9) | st.none(),
    st.none() | st.integers(0, 5),
    st.booleans(),
)


@pytest.mark.integration
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_step, max_size=20))
def test_both_keepers_give_the_same_through_the_cache(
    redis_url: str, topic_prefix: str, steps: list[tuple[str, int | None, int | None, bool]]
) -> None:
    """Rows change, go and come back, their due instants move, batch by batch, cached and not."""
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(f"{topic_prefix}*"):
            client.delete(key)
        store = InRedis(client, topic_prefix, 0, "balances", Patience(5.0))
        store.open()
        memory = InMemory()
        keepers: tuple[Keeper, Keeper] = (store, memory)
        caches = [cache(keeper) for keeper in keepers]
        for key, value, due, commit in steps:
            for rows in caches:
                rows.load([key])
                if value is None:
                    rows.remove(key)
                else:
                    rows.put(key, _Row(value, due))
            assert caches[0].due(3) == caches[1].due(3)
            if commit:
                taken = [rows.take_changes() for rows in caches]
                assert taken[0] == taken[1]
                for keeper, each in zip(keepers, taken, strict=True):
                    keeper.put(each)
                caches[0].evict(1, {})
        for keeper, rows in zip(keepers, caches, strict=True):
            keeper.put(rows.take_changes())
        for until in range(6):
            assert sorted(store.due(until)) == sorted(memory.due(until))
        assert store.read(list("abcde")) == memory.read(list("abcde"))


def test_a_row_of_a_pending_commit_is_not_evicted(keeper: Keeper) -> None:
    keeper.put(changes({"a": b"1,", "b": b"2,"}))
    rows = cache(keeper)
    rows.load(["a", "b"])
    rows.put("a", _Row(5, None))
    pending = rows.take_changes()
    rows.put("b", _Row(6, None))
    rows.evict(0, pending.rows)
    held = [rows.get(key) for key in "ab"]
    assert [row.value for row in held if row is not None] == [5, 6]
    keeper.put(pending)
    keeper.put(rows.take_changes())
    rows.evict(0, {})
    assert keeper.read(["a", "b"]) == [b"5,", b"6,"]


def test_a_row_that_went_stays_away_while_its_commit_is_pending(keeper: Keeper) -> None:
    """Though what keeps the rows has it still, and still says that something of it is due."""
    keeper.put(changes({"a": b"1,5"}, {"a": (None, 5)}))
    rows = cache(keeper)
    assert rows.due(5) == ["a"]
    rows.remove("a")
    pending = rows.take_changes()
    assert (pending.rows, pending.gone, pending.due) == ({}, ["a"], {"a": (5, None)})
    rows.evict(0, dict.fromkeys(pending.gone))
    assert (rows.get("a"), rows.due(5)) == (None, [])
    keeper.put(pending)
    rows.evict(0, {})
    assert (rows.get("a"), rows.due(5), keeper.read(["a"])) == (None, [], [None])
