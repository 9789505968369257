"""Rules 2 and 3 on a real Kafka: a log that is not the one that was read is never read on."""

# ruff: noqa: D102 - the name of each test is its sentence

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.provision import create_topics, make_topics
from deploy.servers.apache import ApacheKafka
from projections.fold import log as log_module
from projections.fold import position as position_module
from projections.fold.log import Log
from projections.fold.position import Position, record_digest
from schemas.errors import LogReplacedError, LogUnavailable
from schemas.topics import JOURNAL
from tests.projections.delivery.processes import until
from tests.protocol.mutation import CLAUSE, mutant

pytestmark = pytest.mark.integration

RECREATED = 'if position.topic_id not in ("", topic_id):'
BOUNDS = "if not low <= position.offset <= high:"
DIGEST = "and record_digest(last_value) != position.digest:"
PATIENCE_SECONDS = 30.0


@dataclass
class Topic:
    """One topic of one partition, which can be written, deleted and made again."""

    kafka: str
    prefix: str

    def __post_init__(self) -> None:
        self.name = self.prefix + JOURNAL.name
        self._admin = AdminClient({"bootstrap.servers": self.kafka})
        self.log = Log(self.kafka, self.prefix)
        self.create()

    def create(self) -> None:
        make_topics(self.kafka, [NewTopic(self.name, 1, 1)])

    def delete(self) -> None:
        """It takes a moment: until then the broker has the old topic, and the name is taken."""
        self._admin.delete_topics([self.name])[self.name].result(timeout=30)
        listed = self._admin.list_topics
        until(lambda: self.name not in listed(timeout=PATIENCE_SECONDS).topics, "its end")

    def write(self, *values: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.kafka})
        for value in values:
            producer.produce(self.name, value, partition=0)
        assert producer.flush(30) == 0

    def read(self, *values: bytes) -> Position:
        """The position of a worker that has read `values`, from the start."""
        fresh = self.log.check(JOURNAL.name, 0, Position())
        return Position(len(values), record_digest(values[-1]), fresh.topic_id)

    def check(self, position: Position) -> Position:
        return self.log.check(JOURNAL.name, 0, position)


@pytest.fixture
def topic(kafka: str, topic_prefix: str) -> Iterator[Topic]:
    found = Topic(kafka, topic_prefix)
    yield found
    found.delete()


def take_out(monkeypatch: pytest.MonkeyPatch, line: str, by: str = "if False:") -> None:
    """`Log.check` without one comparison."""
    changed = mutant(position_module, line, by)
    monkeypatch.setattr(log_module, "check_log", changed.check_log)


def test_the_same_log_is_read_on(topic: Topic) -> None:
    topic.write(b"a", b"b", b"c")
    assert topic.check(topic.read(b"a", b"b")).offset == 2
    assert topic.check(topic.read(b"a", b"b", b"c")).offset == 3


@CLAUSE
def test_a_log_whose_tail_was_lost_stops_the_worker(
    topic: Topic, monkeypatch: pytest.MonkeyPatch, *, clause: bool
) -> None:
    """Read to 3, the log holds 2: what is written at 2 next would never be read."""
    if not clause:
        take_out(monkeypatch, BOUNDS)
    topic.write(b"a", b"b")
    beyond = topic.read(b"a", b"b", b"c")
    if clause:
        with pytest.raises(LogReplacedError, match="outside the log"):
            topic.check(beyond)
    else:
        topic.check(beyond)
        topic.write(b"never read")
        end = topic.log.ends(JOURNAL.name, [0])[0]
        assert list(topic.log.read(JOURNAL.name, 0, beyond.offset, end)) == []


@CLAUSE
def test_a_recreated_topic_stops_the_worker(
    topic: Topic, monkeypatch: pytest.MonkeyPatch, *, clause: bool
) -> None:
    """Even with the same records up to the position: only the broker's id tells."""
    if not clause:
        take_out(monkeypatch, RECREATED)
    topic.write(b"a", b"b")
    read = topic.read(b"a", b"b")
    topic.delete()
    topic.create()
    topic.write(b"a", b"b", b"another log")
    if clause:
        with pytest.raises(LogReplacedError, match="recreated"):
            topic.check(read)
    else:
        assert topic.check(read).topic_id != read.topic_id


@CLAUSE
def test_another_record_where_the_last_was_read_stops_the_worker(
    topic: Topic, monkeypatch: pytest.MonkeyPatch, *, clause: bool
) -> None:
    """The tail was lost and written anew, longer: bounds and id are as they were."""
    if not clause:
        take_out(monkeypatch, DIGEST, "and False:")
    topic.write(b"a", b"other", b"more")
    read = topic.read(b"a", b"b")
    if clause:
        with pytest.raises(LogReplacedError, match="not the one that was read"):
            topic.check(read)
    else:
        assert topic.check(read).offset == 2


@pytest.mark.apache
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_log_answers_as_soon_as_its_broker_is_back(tmp_path: Path) -> None:
    """The client still knows the leader of before, and for a moment there is none."""
    with ApacheKafka(tmp_path / "kafka", log=tmp_path / "kafka.log") as broker:
        create_topics(broker.address, "", 2, 1)
        log = Log(broker.address)
        assert log.ends(JOURNAL.name, [0, 1]) == {0: 0, 1: 0}
        for _ in range(2):
            broker.kill()
            broker.start()
            assert log.ends(JOURNAL.name, [0, 1]) == {0: 0, 1: 0}


def test_a_topic_that_is_not_there_is_told_at_once(kafka: str, topic_prefix: str) -> None:
    started = time.monotonic()
    with pytest.raises(LogUnavailable):
        Log(kafka, topic_prefix).ends(JOURNAL.name, [0])
    assert time.monotonic() - started < PATIENCE_SECONDS / 3
