"""Rebuilding beside running workers, on a real log and a real Redis (architecture.md section 3)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import pytest
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.provision import make_topics
from projections.fold.kind import StageKind
from projections.fold.log import Log
from projections.fold.outbox import Output
from projections.fold.position import Position, record_digest
from projections.fold.rebuild import Rebuilder, Rebuilt
from projections.fold.retry import Patience
from projections.fold.snapshot import SnapshotReader
from projections.fold.stage import Record
from projections.fold.store import PartitionStore
from projections.rows import Changes, RowReader
from schemas.errors import Fenced, LogReplacedError
from schemas.topics import JOURNAL

pytestmark = pytest.mark.integration
STAGE = "counting"


class CountingFold:
    """Counts records by their first letter: the smallest fold there is. `a!` forgets the `a`s."""

    def __init__(self, _partition: int, _position: Position, rows: RowReader) -> None:
        self._rows, self._counts = rows, dict[str, int]()
        self._changed: dict[str, bytes] = {}
        self._gone: dict[str, None] = {}

    def apply(self, records: Sequence[Record]) -> list[Output]:
        """Count."""
        for _, value in records:
            key = value[:1].decode()
            if value[1:] == b"!":
                self._counts[key] = 0
                self._changed.pop(key, None)
                self._gone[key] = None
                continue
            self._gone.pop(key, None)
            if key not in self._counts:
                held = self._rows.read([key])[0]
                self._counts[key] = int(held or b"0")
            self._counts[key] += 1
            self._changed[key] = str(self._counts[key]).encode()
        return []

    def take_changes(self) -> Changes:
        """What changed since the last call."""
        changed, self._changed = self._changed, {}
        gone, self._gone = self._gone, {}
        return Changes(changed, gone=list(gone))

    def on_commit(self) -> Callable[[float], None]:
        """Nothing is counted."""
        return lambda _seconds: None

    def advance(self, position: Position) -> Position:
        """Nothing of its own."""
        return position

    def check_gap(self, now: float) -> None:
        """No gaps here."""

    def evict(self, pending: Mapping[str, object]) -> None:
        """Nothing to forget."""


COUNTING = StageKind(STAGE, JOURNAL, CountingFold)


class Deployment:
    """A log of two partitions, a Redis, and a worker for partition 0."""

    def __init__(self, kafka: str, client: "redis.Redis", prefix: str) -> None:
        self.client, self.prefix = client, prefix
        self.log = Log(kafka, prefix)
        self.snapshots = SnapshotReader(client, prefix, Patience(5.0))
        self.builder = Rebuilder(COUNTING, self.log, self.snapshots)
        self._producer = Producer({"bootstrap.servers": kafka})

    def write(self, *values: str) -> None:
        """Append records to partition 0."""
        for value in values:
            self._producer.produce(self.prefix + JOURNAL.name, value.encode(), partition=0)
        self._producer.flush(10)

    def worker(self) -> "Worker":
        """A worker that takes the live namespace."""
        return Worker(self)

    def rows(self) -> dict[str, bytes]:
        """The live rows."""
        return self.snapshots.take(0, STAGE).rows


class Worker:
    """Folds whatever the log holds beyond its position, as a stage does."""

    def __init__(self, of: Deployment) -> None:
        self._of = of
        self._store = PartitionStore(of.client, of.prefix, 0, STAGE, Patience(5.0))
        self.position = of.log.check(JOURNAL.name, 0, self._store.open() or Position())
        self._fold = CountingFold(0, self.position, self._store)

    def work(self) -> None:
        """Fold and commit record by record."""
        end = self._of.log.ends(JOURNAL.name, [0])[0]
        for read in self._of.log.read(JOURNAL.name, 0, self.position.offset, end):
            self._fold.apply([(read[0], read[2])])
            self.position = Position(
                read[0] + 1, record_digest(read[2]), topic_id=self.position.topic_id
            )
            self._store.commit(self.position, self._fold.take_changes())


@pytest.fixture
def deployment(kafka: str, redis_url: str, topic_prefix: str) -> Iterator[Deployment]:
    """Fresh topics and a fresh key prefix."""
    name = topic_prefix + JOURNAL.name
    make_topics(kafka, [NewTopic(name, 2, 1)])
    client = redis.Redis.from_url(redis_url)
    yield Deployment(kafka, client, topic_prefix)
    client.close()
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_topics([name])[name].result(timeout=30)


def test_the_same_log_gives_byte_identical_rows(deployment: Deployment) -> None:
    """A rebuild changes nothing where nothing was wrong."""
    deployment.write("a", "b", "a")
    deployment.worker().work()

    assert deployment.builder.rebuild(0) == Rebuilt(STAGE, 0, 3, 2)
    assert deployment.rows() == {"a": b"2", "b": b"1"}
    assert deployment.snapshots.take(0, STAGE).namespace == "2"


def test_a_row_that_went_is_not_there_again(deployment: Deployment) -> None:
    """Nor counted, nor reported as different; one that came back is."""
    deployment.write("a", "b", "a!", "b!", "b")
    deployment.worker().work()
    assert deployment.rows() == {"b": b"1"}

    assert deployment.builder.rebuild(0) == Rebuilt(STAGE, 0, 5, 1)
    assert deployment.rows() == {"b": b"1"}


def test_what_was_wrong_is_reported_and_mended(deployment: Deployment) -> None:
    """Rows changed, lost or made up in the old namespace are named; the new one has the truth."""
    deployment.write("a", "b", "c")
    deployment.worker().work()
    key = deployment.snapshots.key(0, STAGE, "1", "rows")
    deployment.client.hset(key, mapping={"a": "7", "x": "1"})
    deployment.client.hdel(key, "b")

    assert deployment.builder.rebuild(0).differing == ["a", "b", "x"]
    assert deployment.rows() == {"a": b"1", "b": b"1", "c": b"1"}


def test_a_running_worker_is_fenced_and_its_successor_goes_on(deployment: Deployment) -> None:
    """After the switch the old worker cannot commit, and nothing is counted twice or lost."""
    deployment.write("a", "a")
    old = deployment.worker()
    old.work()
    deployment.builder.rebuild(0)
    deployment.write("a", "b")

    with pytest.raises(Fenced):
        old.work()
    deployment.worker().work()
    assert deployment.rows() == {"a": b"3", "b": b"1"}


def test_only_the_live_position_is_folded(deployment: Deployment) -> None:
    """Records beyond the live position are left to its worker: their outputs are due."""
    deployment.write("a")
    deployment.worker().work()
    deployment.write("a", "a")

    assert deployment.builder.rebuild(0).offset == 1
    deployment.worker().work()
    assert deployment.rows() == {"a": b"3"}


def test_a_live_position_that_moves_is_met(deployment: Deployment) -> None:
    """The worker commits while the rebuild folds: the switch waits until both stand alike."""
    deployment.write("a", "b")
    worker = deployment.worker()
    worker.work()
    moved = False

    def move(_records: int) -> None:
        nonlocal moved
        if not moved:
            moved = True
            deployment.write("c", "c")
            worker.work()

    assert deployment.builder.rebuild(0, move) == Rebuilt(STAGE, 0, 4, 3)
    assert deployment.rows() == {"a": b"1", "b": b"1", "c": b"2"}


def test_the_old_namespace_is_freed_and_leftovers_do_no_harm(deployment: Deployment) -> None:
    """A rebuild that died left rows behind; the next starts afresh, and frees what it replaced."""
    deployment.write("a")
    deployment.worker().work()
    leftover = deployment.snapshots.key(0, STAGE, "2", "rows")
    deployment.client.hset(leftover, "z", "9")
    deployment.client.set(f"{deployment.snapshots.pointer(0, STAGE)}:building", "2")

    deployment.builder.rebuild(0)
    assert deployment.rows() == {"a": b"1"}
    old = [deployment.snapshots.key(0, STAGE, "1", part) for part in ("rows", "position", "due")]
    assert deployment.client.exists(*old) == 0


def test_a_partition_that_nobody_has_folded_is_left_alone(deployment: Deployment) -> None:
    """There is nothing to rebuild before the first commit."""
    deployment.write("a")
    assert deployment.builder.rebuild(0) == Rebuilt(STAGE, 0, 0, 0)
    assert deployment.snapshots.take(0, STAGE).namespace is None


def test_another_log_is_not_folded(deployment: Deployment) -> None:
    """The log must be the one that the live rows came from."""
    deployment.write("a")
    deployment.worker().work()
    key = deployment.snapshots.key(0, STAGE, "1", "position")
    deployment.client.set(key, Position(1, "0" * 32, "").encode())
    with pytest.raises(LogReplacedError):
        deployment.builder.rebuild(0)


def test_snapshot_lays_keys_out_as_the_store_does(deployment: Deployment) -> None:
    """Reading and writing agree on every key's name."""
    deployment.write("a")
    deployment.worker().work()
    found = cast("list[bytes]", deployment.client.keys(f"{deployment.prefix}*"))
    names = {key.decode() for key in found}
    reader = deployment.snapshots
    assert names == {
        reader.pointer(0, STAGE),
        reader.key(0, STAGE, "1", "position"),
        reader.key(0, STAGE, "1", "rows"),
    }


def test_rows_of_chosen_keys_only(deployment: Deployment) -> None:
    """A key without a row is absent; no keys at all give the position alone."""
    deployment.write("a", "b")
    deployment.worker().work()
    assert deployment.snapshots.take(0, STAGE, ("b", "x")).rows == {"b": b"1"}
    taken = deployment.snapshots.take(0, STAGE, ())
    assert (taken.rows, taken.position.offset) == ({}, 2)
