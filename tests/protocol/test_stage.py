"""Rule 4 with a real store: outputs first, then the commit, and only the acknowledged prefix."""

# ruff: noqa: D102 - the name of each test is its sentence, the parts are as used

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import pytest
import redis

from deploy.provision import make_topics
from projections.access import KafkaAccess
from projections.fold import outbox, stage
from projections.fold.faust_host import FaustHost, HostSettings
from projections.fold.outbox import Delivery, Outbox, Output
from projections.fold.position import Position
from projections.fold.retry import Patience
from projections.fold.stage import Record
from projections.fold.store import PartitionStore
from projections.health import WorkerStatus
from projections.rows import Changes, RowReader, Rows
from schemas.errors import DeliveryError, Fenced, GapError
from schemas.topics import RATED
from tests.protocol.mutation import CLAUSE, mutant

pytestmark = pytest.mark.integration

STAGE = "rating"
LOG: list[Record] = [(offset, b"a") for offset in range(6)]

DELIVERY_FIRST = (
    "if not self._outbox.delivered(oldest.deliveries, wait=must_wait):\n                break"
)
NO_WAIT = "if False:\n                break"
NEXT_INSTEAD = (
    "if not self._outbox.delivered(oldest.deliveries, wait=must_wait):\n"
    "                self._pending.rotate(-1)\n"
    "                oldest = self._pending[0]\n"
    "                if not self._outbox.delivered(oldest.deliveries, wait=must_wait):\n"
    "                    break"
)
PENDING_STAYS = "self._fold.evict(in_flight)"
SEEN_SKIPPED = "if record[0] == expected:"
DIES = "if failed is not None:"


class Confirmed(Outbox):
    """An outbox on a broker that confirms when the test says so: `written` is the output topic."""

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self.sent: list[tuple[bytes, Delivery]] = []

    @property
    def written(self) -> list[bytes]:
        return [value for value, delivery in self.sent if delivery.done and not delivery.error]

    def send(self, output: Output) -> Delivery:
        delivery = Delivery()
        self.sent.append((output.value, delivery))
        return delivery

    def confirm(self, *indices: int) -> None:
        for index in indices:
            self.sent[index][1].done = True


class Counting:
    """Counts records by their value; its output says what the count was."""

    def __init__(self, rows: RowReader, keep: int = 0) -> None:
        self._keep = keep
        self.rows: Rows[int] = Rows(rows, lambda count: str(count).encode(), int)

    def apply(self, records: Sequence[Record]) -> list[Output]:
        outputs = []
        for _, value in records:
            key = value.decode()
            count = (self.rows.get(key) or 0) + 1
            self.rows.put(key, count)
            outputs.append(Output(RATED, f"{key}{count}".encode()))
        return outputs

    def take_changes(self) -> Changes:
        return self.rows.take_changes()

    def on_commit(self) -> Callable[[float], None]:
        return lambda _seconds: None

    def advance(self, position: Position) -> Position:
        return position

    def check_gap(self, now: float) -> None:
        """No gaps here."""

    def evict(self, pending: Mapping[str, object]) -> None:
        self.rows.evict(self._keep, pending)


class Partition:
    """Opens the partition, as each new worker does."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def store(self) -> PartitionStore:
        return PartitionStore(self._client, self._prefix, 0, STAGE, Patience(2.0))

    def worker(self, box: Outbox, module: ModuleType = stage, fold: Counting | None = None) -> Any:
        store = self.store()
        found = store.open() or Position()
        return module.StagePartition(fold or Counting(store), store, box, found)

    def replay(self) -> list[bytes]:
        """A successor reads on from the committed position; what it writes."""
        box = Confirmed("")
        worker = self.worker(box)
        for record in LOG[worker.folded.offset :]:
            worker.process([record], None)
            box.confirm(*range(len(box.sent)))
        worker.settle(wait_for=0)
        return box.written

    def count(self) -> bytes | None:
        store = self.store()
        store.open()
        return store.read(["a"])[0]


@pytest.fixture
def partition(redis_url: str, topic_prefix: str) -> Iterator[Partition]:
    with redis.Redis.from_url(redis_url) as client:
        yield Partition(client, topic_prefix)


def outputs(start: int, stop: int) -> list[bytes]:
    return [f"a{count}".encode() for count in range(start, stop + 1)]


@CLAUSE
def test_nothing_is_committed_before_its_outputs_are_written(
    partition: Partition, *, clause: bool
) -> None:
    """Killed between the two: the successor writes them again, or never."""
    module = stage if clause else mutant(stage, DELIVERY_FIRST, NO_WAIT)
    box = Confirmed("")
    worker = partition.worker(box, module)
    worker.process(LOG[:2], None)
    worker.settle()

    written = box.written + partition.replay()
    assert written == (outputs(1, 6) if clause else outputs(3, 6))
    assert partition.count() == b"6"


@CLAUSE
def test_only_the_contiguous_acknowledged_prefix_is_committed(
    partition: Partition, *, clause: bool
) -> None:
    """The second batch is acknowledged before the first, then the worker is killed."""
    module = stage if clause else mutant(stage, DELIVERY_FIRST, NEXT_INSTEAD)
    box = Confirmed("")
    worker = partition.worker(box, module)
    worker.process(LOG[:1], "first")
    worker.process(LOG[1:2], "second")
    box.confirm(1)

    committed = worker.settle()
    written = set(box.written + partition.replay())
    if clause:
        assert committed == []
        assert set(outputs(1, 6)) == written
    else:
        assert committed == ["second"]
        assert set(outputs(2, 6)) == written


def test_health_tells_what_is_committed_from_the_assignment_on(partition: Partition) -> None:
    """What waits for its delivery is lag, and what was committed long ago is not."""
    box, status = Confirmed(""), WorkerStatus(STAGE)
    settings = HostSettings(KafkaAccess(""), "", "", "", 6, RATED, 1)

    async def host_of_a_successor() -> FaustHost:
        host = FaustHost(settings, lambda _: partition.worker(box), status)
        await host.assigned({0})
        return host

    host = asyncio.run(host_of_a_successor())
    host._fold(0, LOG[:2], [])
    assert status.positions == {0: 0}
    box.confirm(0, 1)
    host._settle()
    assert status.positions == {0: 2}
    status.positions.clear()
    asyncio.run(host_of_a_successor())
    assert status.positions == {0: 2}


def test_tokens_come_back_in_order_once_they_are_committed(partition: Partition) -> None:
    box = Confirmed("")
    worker = partition.worker(box)
    for record in LOG[:3]:
        assert worker.process([record], record[0]) == []
    box.confirm(0, 2)
    assert worker.settle() == [0]
    box.confirm(1)
    assert worker.settle() == [1, 2]
    assert worker.pending == 0
    assert partition.count() == b"3"


@CLAUSE
def test_a_row_stays_cached_until_its_commit_is_confirmed(
    partition: Partition, *, clause: bool
) -> None:
    """Else the next batch reads the row as it was before: a count is lost."""
    module = stage if clause else mutant(stage, PENDING_STAYS, "self._fold.evict({})")
    box = Confirmed("")
    worker = partition.worker(box, module)
    worker.process(LOG[:1], None)
    worker.process(LOG[1:2], None)
    box.confirm(0)
    worker.settle()
    worker.process(LOG[2:3], None)
    box.confirm(1, 2)
    worker.settle(wait_for=0)
    assert partition.count() == (b"3" if clause else b"2")


@CLAUSE
def test_assignment_starts_with_empty_memory(partition: Partition, *, clause: bool) -> None:
    """Another worker had the partition for a while: what was cached before is not so now."""
    box = Confirmed("")
    store = partition.store()
    remembering = Counting(store, keep=1_000)
    store.open()
    first = stage.StagePartition(remembering, store, box, Position())
    first.process(LOG[:1], None)
    box.confirm(0)
    first.settle()
    other = partition.worker(box)
    other.process(LOG[1:3], None)
    box.confirm(1, 2)
    other.settle()

    again = partition.worker(box, fold=None if clause else remembering)
    again.process(LOG[3:4], None)
    box.confirm(3)
    again.settle()
    assert partition.count() == (b"4" if clause else b"2")


@CLAUSE
def test_records_seen_before_are_skipped(partition: Partition, *, clause: bool) -> None:
    """Kafka's committed offsets lag behind, or a take buffer outlived a rebalance."""
    module = stage if clause else mutant(stage, SEEN_SKIPPED, "if record[0] <= expected:")
    box = Confirmed("")
    worker = partition.worker(box, module)
    worker.process(LOG[:3], None)
    worker.process(LOG[1:4], None)
    box.confirm(*range(len(box.sent)))
    worker.settle(wait_for=0)
    assert partition.count() == (b"4" if clause else b"6")


def test_records_beyond_the_one_that_is_due_are_ignored_and_a_standing_gap_ends_the_worker(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = partition.worker(Confirmed(""))
    assert worker.process(LOG[2:4], "early") == ["early"]
    assert worker.folded.offset == 0
    monkeypatch.setattr(stage, "SKIP_PATIENCE_SECONDS", -1)
    with pytest.raises(GapError, match="offset 0 is due"):
        worker.process(LOG[4:6], None)


def test_a_zombie_is_refused_whatever_it_has_under_way(partition: Partition) -> None:
    """Its outputs repeat what is true; its commit is refused, its reads are too."""
    zombie_box = Confirmed("")
    zombie = partition.worker(zombie_box)
    zombie.process(LOG[:2], None)
    truth = partition.replay()
    zombie_box.confirm(0, 1)

    assert zombie_box.written == truth[:2]
    with pytest.raises(Fenced):
        zombie.settle()
    zombie_box.sent.clear()
    with pytest.raises(Fenced):
        zombie.process([(2, b"b")], None)
    assert zombie_box.sent == []
    assert partition.count() == b"6"


@CLAUSE
def test_a_delivery_error_ends_the_worker(partition: Partition, *, clause: bool) -> None:
    """Going on would commit past an output that nobody will write."""
    module = outbox if clause else mutant(outbox, DIES, "if False:")
    box = Confirmed("")
    worker = partition.worker(box)
    box.delivered = module.Outbox.delivered.__get__(box)  # type: ignore[method-assign]
    worker.process(LOG[:1], None)
    box.sent[0][1].error = "the broker would not"
    box.confirm(0)

    if clause:
        with pytest.raises(DeliveryError, match="the broker would not"):
            worker.settle()
        assert partition.replay() == outputs(1, 6)
    else:
        worker.settle()
        assert box.written + partition.replay() == outputs(2, 6)


def test_a_real_producers_first_error_is_raised(
    kafka: str, topic_prefix: str, create_rated: Callable[[], None]
) -> None:
    """A partition that there is not: librdkafka says so in the delivery report."""
    create_rated()
    box = Outbox(kafka, topic_prefix)
    try:
        with pytest.raises(DeliveryError, match=r"(?i)partition"):
            box.delivered([box.send(Output(RATED, b"x", partition=99))], wait=True)
    finally:
        box.close()


@pytest.fixture
def create_rated(kafka: str, topic_prefix: str) -> Iterator[Callable[[], None]]:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient({"bootstrap.servers": kafka})
    name = topic_prefix + RATED.name
    yield lambda: make_topics(kafka, [NewTopic(name, 1, 1)])
    admin.delete_topics([name])[name].result(timeout=30)


EDGE = """
from projections.fold import faust_host
from schemas import errors
def fail():
    raise errors.{error}("on purpose")
try:
    faust_host._or_end(fail)
except BaseException:
    pass
print("went on")
"""


@pytest.mark.parametrize(
    "error", ["DeliveryError", "Fenced", "GapError", "LogReplacedError", "StoreUnavailable"]
)
def test_an_error_ends_the_process_before_faust_can_go_on(error: str) -> None:
    """Faust restarts an agent that raises past the records at hand: none may reach it."""
    from schemas import errors

    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EDGE.format(error=error)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "went on" not in ended.stdout
    assert ended.returncode == getattr(errors, error).exit_code, ended.stderr
