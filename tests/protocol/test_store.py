"""Rule 3 on a real Redis: rows and position commit together, and reads are checked too."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import TimeoutError as AnswerLost

from projections.fold.position import Position
from projections.fold.retry import Patience
from projections.fold.store import PartitionStore, base_key
from projections.rows import Changes
from schemas.errors import Fenced
from tests.protocol.mutation import CLAUSE, script

pytestmark = pytest.mark.integration

STAGE = "balances"
FENCED = "then return redis.error_reply('FENCED position is ' .. current) end"
READ_CHECK = f"if current ~= expected {FENCED}\n\nif operation == 'read' then"
COMMIT_CHECK = f"  if current ~= expected {FENCED}\n  local at = 5"
POINTER_CHECK = "if redis.call('GET', KEYS[1]) ~= namespace then"
ALREADY = "if current == target then return 'already' end"
POSITION_WRITTEN = "redis.call('SET', KEYS[2], target)"

Open = Callable[..., PartitionStore]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


@pytest.fixture
def open_store(client: redis.Redis, topic_prefix: str) -> Open:
    """Opens the same partition for another worker, `without` one line of the script."""

    def open_one(without: str | None = None, by: str = "") -> PartitionStore:
        store = PartitionStore(client, topic_prefix, 0, STAGE, Patience(2.0))
        if without is not None:
            text = script("projections.fold", "store.lua", without, by)
            store._script = client.register_script(text)
        store.open()
        return store

    return open_one


def at(offset: int) -> Position:
    return Position(offset, digest=f"d{offset}")


def rows(**values: int) -> Changes:
    return Changes({key: str(value).encode() for key, value in values.items()})


@CLAUSE
def test_a_torn_read_is_refused(open_store: Open, *, clause: bool) -> None:
    """`a` moves 10 to `b` between two reads of a zombie: it would see 20 in all."""
    open_store().commit(at(1), rows(a=10, b=0))
    zombie = open_store() if clause else open_store(READ_CHECK, "if operation == 'read' then")
    seen = zombie.read(["a"])
    open_store().commit(at(2), rows(a=0, b=10))

    if clause:
        with pytest.raises(Fenced):
            zombie.read(["b"])
    else:
        assert seen + zombie.read(["b"]) == [b"10", b"10"]


@CLAUSE
def test_due_keys_are_as_of_the_expected_position(open_store: Open, *, clause: bool) -> None:
    zombie = open_store() if clause else open_store(READ_CHECK, "if operation == 'read' then")
    open_store().commit(at(1), Changes({"a": b"1"}, {"a": (None, 5)}))
    if clause:
        with pytest.raises(Fenced):
            zombie.due(5)
    else:
        assert zombie.due(5) == ["a"]


@CLAUSE
def test_a_stale_writer_is_refused(open_store: Open, *, clause: bool) -> None:
    """Two workers count on from 1: the later commit would undo what the other counted."""
    open_store().commit(at(1), rows(a=1))
    stale = open_store() if clause else open_store(COMMIT_CHECK, "  local at = 5")
    current = open_store()
    current.commit(at(2), rows(a=2))
    current.commit(at(3), rows(a=3))

    if clause:
        with pytest.raises(Fenced):
            stale.commit(at(2), rows(a=2))
        assert open_store().read(["a"]) == [b"3"]
    else:
        stale.commit(at(2), rows(a=2))
        assert open_store().read(["a"]) == [b"2"]


@CLAUSE
@pytest.mark.parametrize("operation", ["read", "due", "commit"])
def test_a_switched_namespace_refuses_the_running_worker(
    open_store: Open,
    client: redis.Redis,
    topic_prefix: str,
    operation: str,
    *,
    clause: bool,
) -> None:
    """Else it goes on with rows that are live no more, and what it commits is lost."""
    worker = open_store() if clause else open_store(POINTER_CHECK, "if false then")
    worker.commit(at(1), Changes({"a": b"1"}, {"a": (None, 5)}))
    client.set(base_key(topic_prefix, 0, STAGE), "2")
    calls: dict[str, Callable[[], Any]] = {
        "read": lambda: worker.read(["a"]),
        "due": lambda: worker.due(5),
        "commit": lambda: worker.commit(at(2), rows(a=2)),
    }

    if clause:
        with pytest.raises(Fenced, match="pointer"):
            calls[operation]()
    else:
        assert {"read": [b"1"], "due": ["a"], "commit": None}[operation] == calls[operation]()
        assert open_store().read(["a"]) == [None]


@CLAUSE
def test_a_commit_whose_answer_was_lost_succeeds_when_repeated(
    open_store: Open, *, clause: bool
) -> None:
    store = open_store() if clause else open_store(ALREADY)
    store._script = losing_the_first_answer(store._script)

    if clause:
        store.commit(at(1), rows(a=1))
        store.commit(at(2), rows(a=2))
        assert store.read(["a"]) == [b"2"]
    else:
        with pytest.raises(Fenced):
            store.commit(at(1), rows(a=1))


def losing_the_first_answer(run: Callable[..., Any]) -> Any:
    """Redis runs the script, the client's socket times out: once."""
    lost = False

    def call(**arguments: Any) -> Any:
        nonlocal lost
        answer = run(**arguments)
        if not lost:
            lost = True
            raise AnswerLost("Timeout reading from socket")
        return answer

    return call


@CLAUSE
def test_rows_and_position_are_one_step(open_store: Open, *, clause: bool) -> None:
    """Without the position in the same step, a kill in between makes the successor count twice."""
    worker = open_store() if clause else open_store(POSITION_WRITTEN)
    worker.commit(at(1), rows(a=1))

    successor = open_store()
    if successor.open() is None:  # so the first record is due once more
        (held,) = successor.read(["a"])
        successor.commit(at(1), rows(a=int(held or 0) + 1))
    assert [b"1" if clause else b"2"] == successor.read(["a"])


@CLAUSE
def test_a_redis_that_comes_back_older_has_both_halves_old(
    open_store: Open, client: redis.Redis, topic_prefix: str, *, clause: bool
) -> None:
    """The running worker is refused; its successor replays from there, to the same rows.

    Taken out: the position alone comes back older, as it would if it were kept elsewhere.
    """
    worker = open_store()
    worker.commit(at(1), rows(a=1))
    base = f"{base_key(topic_prefix, 0, STAGE)}:1"
    kept = [f"{base}:position", f"{base}:rows"] if clause else [f"{base}:position"]
    older = {key: client.dump(key) or b"" for key in kept}
    worker.commit(at(2), rows(a=2))
    for key, value in older.items():
        client.restore(key, 0, value, replace=True)

    with pytest.raises(Fenced):
        worker.read(["a"])
    with pytest.raises(Fenced):
        worker.commit(at(3), rows(a=3))
    successor = open_store()
    assert at(1) == successor.open()
    (held,) = successor.read(["a"])
    successor.commit(at(2), rows(a=int(held or 0) + 1))
    assert [b"2" if clause else b"3"] == successor.read(["a"])
