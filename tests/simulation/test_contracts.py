"""What the pipeline needs of a log and of a store: on the real ones, and on those in memory.

The simulation is worth as much as its log and store are like Kafka and Redis: both pass the same
suite, and a seeded history of calls has the same answers on both stores.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import redis
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

from deploy.provision import make_topics
from processors.admission.claims import CLAIMED, CONFLICT, DUPLICATE, Claims, pack
from processors.admission.fingerprint import content_digest, key_digest
from projections.fold import log as log_module
from projections.fold.log import Log
from projections.fold.position import Position, record_digest
from projections.fold.retry import Patience
from projections.fold.store import PartitionStore, base_key
from projections.rows import Changes
from schemas.errors import ClaimsBehind, Fenced, LogReplacedError
from schemas.times import parse_instant
from tests.simulation import admin as memory_admin
from tests.simulation import consumer as memory_consumer
from tests.simulation import producer as memory_producer
from tests.simulation import redis as memory_redis
from tests.simulation.clock import Clock
from tests.simulation.log import Broker
from tests.simulation.node import Calm

REAL = pytest.param("real", marks=pytest.mark.integration)
BOTH = pytest.mark.parametrize("kind", ["memory", REAL])
WIDTH = 1_000
PATIENCE_SECONDS = 30.0
Store = Callable[[], PartitionStore]


def client_of(kind: str, request: pytest.FixtureRequest) -> Any:
    if kind == "memory":
        return memory_redis.Redis(memory_redis.State())
    client = redis.Redis.from_url(request.getfixturevalue("redis_url"))
    request.addfinalizer(client.close)
    return client


@pytest.fixture
def client(kind: str, request: pytest.FixtureRequest) -> Any:
    return client_of(kind, request)


@pytest.fixture
def opened(client: Any, topic_prefix: str) -> Store:
    """Opens the same partition for one more worker."""

    def open_one() -> PartitionStore:
        store = PartitionStore(client, topic_prefix, 0, "rating", Patience(2.0))
        store.open()
        return store

    return open_one


def at(offset: int) -> Position:
    return Position(offset, digest=f"d{offset}")


def rows(**values: int) -> Changes:
    return Changes({key: str(value).encode() for key, value in values.items()})


@BOTH
def test_what_was_committed_is_read_by_the_next_worker(opened: Store) -> None:
    worker = opened()
    assert worker.read(["a"]) == [None]
    worker.commit(at(1), rows(a=1, b=2))
    worker.commit(at(2), rows(b=3))
    successor = opened()
    assert successor.open() == at(2)
    assert successor.read(["b", "none", "a"]) == [b"3", None, b"1"]


@BOTH
def test_a_partition_nobody_has_committed_has_no_position(opened: Store) -> None:
    assert opened().open() is None


@BOTH
@pytest.mark.parametrize("operation", ["read", "due", "commit"])
def test_who_is_behind_is_refused(opened: Store, operation: str) -> None:
    zombie = opened()
    opened().commit(at(1), rows(a=1))
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: zombie.read(["a"]),
        "due": lambda: zombie.due(5),
        "commit": lambda: zombie.commit(at(2), rows(a=2)),
    }
    with pytest.raises(Fenced, match="position"):
        calls[operation]()
    assert opened().read(["a"]) == [b"1"]


@BOTH
def test_a_commit_that_finds_its_target_has_succeeded(opened: Store) -> None:
    """Its answer was lost, or another worker has committed the same truth."""
    first, second = opened(), opened()
    first.commit(at(1), rows(a=1))
    second.commit(at(1), rows(a=1))
    second.commit(at(2), rows(a=2))
    assert opened().read(["a"]) == [b"2"]


@BOTH
def test_who_does_not_know_the_live_namespace_is_refused(
    opened: Store, client: Any, topic_prefix: str
) -> None:
    worker = opened()
    client.set(base_key(topic_prefix, 0, "rating"), "2")
    for call in (lambda: worker.read(["a"]), lambda: worker.commit(at(1), rows(a=1))):
        with pytest.raises(Fenced, match="pointer"):
            call()
    assert opened().namespace == "2"


@BOTH
def test_due_keys_come_by_instant_and_move(opened: Store) -> None:
    store = opened()
    store.commit(at(1), Changes({}, {"a": (None, 30), "b": (None, 5), "c": (None, 5)}))
    assert store.due(5) == ["b", "c"]
    assert store.due(30) == ["b", "c", "a"]
    store.commit(at(2), Changes({}, {"a": (30, 2), "b": (5, None), "c": (5, 31)}))
    assert store.due(30) == ["a"]


@pytest.fixture
def claims(client: Any, topic_prefix: str) -> Claims:
    found = Claims(client, topic_prefix, WIDTH, 100)
    found.begin(0, (0, 0, 0))
    return found


def item(name: str, offset: int, data: bytes = b"{}") -> bytes:
    return pack(key_digest("acme", "api", name), offset, content_digest("call", data))


def through(claims: Claims) -> tuple[int, tuple[int, int, int], int]:
    held = claims.held(0)
    assert held is not None
    return held.through, held.vector, held.clock


@BOTH
def test_a_claim_knows_its_owner_its_copies_and_its_conflicts(claims: Claims) -> None:
    items = [item("a", 0), item("a", 1), item("a", 2, b"1"), item("b", 3)]
    expected = bytes((CLAIMED, DUPLICATE, CONFLICT, CLAIMED))
    assert claims.claim(0, 0, 4, 7, items) == expected
    assert claims.claim(0, 0, 4, 7, items) == expected
    assert claims.claim(0, 4, 5, 8, [item("b", 4)]) == bytes((DUPLICATE,))
    assert claims.claim(0, 5, 6, 9, [item("b", 5)]) == bytes((CLAIMED,))


@BOTH
def test_through_is_where_claims_stand(claims: Claims) -> None:
    claims.claim(0, 0, 5, 7, [])
    claims.claim(0, 0, 2, 7, [])
    assert through(claims) == (5, (0, 0, 0), 0)
    with pytest.raises(ClaimsBehind):
        claims.claim(0, 6, 7, 7, [])
    with pytest.raises(ClaimsBehind):
        claims.acknowledge(0, (0, 0, 6), 0)


@BOTH
def test_the_vector_and_the_clock_never_go_back(claims: Claims) -> None:
    claims.claim(0, 0, 5, 7, [])
    claims.acknowledge(0, (3, 1, 5), 7 * WIDTH)
    claims.acknowledge(0, (2, 4, 4), 6 * WIDTH)
    assert through(claims) == (5, (3, 4, 5), 7 * WIDTH)


@BOTH
def test_a_generation_is_dropped_two_windows_later(claims: Claims) -> None:
    claims.claim(0, 0, 1, 7, [item("a", 0)])
    claims.acknowledge(0, (0, 0, 1), 8 * WIDTH)
    assert claims.claim(0, 1, 2, 8, [item("a", 1)]) == bytes((DUPLICATE,))
    claims.acknowledge(0, (0, 0, 2), 9 * WIDTH)
    with pytest.raises(Fenced):
        claims.claim(0, 0, 1, 7, [item("a", 0)])


@BOTH
def test_a_claim_is_found_by_who_comes_after_it_and_nothing_is_claimed(claims: Claims) -> None:
    claims.claim(0, 0, 5, 7, [item("a", 3)])
    asked = [item("a", 3), item("a", 4), item("a", 4, b"1"), item("b", 5)]
    expected = bytes((CLAIMED, DUPLICATE, CONFLICT, CLAIMED))
    for _ in range(2):
        assert claims.find(0, 7, asked) == expected
        assert claims.find(0, 8, asked) == expected
    assert claims.find(0, 9, asked) == bytes((CLAIMED,)) * 4, "two windows later"
    assert claims.find(0, 6, asked) == bytes((CLAIMED,)) * 4, "a clock that claims were ahead of"
    with pytest.raises(ClaimsBehind):
        claims.find(0, 7, [item("a", 6)])


@BOTH
def test_claims_begin_once(claims: Claims) -> None:
    claims.claim(0, 0, 5, 7, [])
    claims.begin(0, (9, 9, 9))
    assert through(claims) == (5, (0, 0, 0), 0)
    assert claims.held(1) is None


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(10))
def test_one_history_has_the_same_answers_on_both(
    request: pytest.FixtureRequest, topic_prefix: str, seed: int
) -> None:
    """Claims and commits at random, of workers that are behind, ahead and right."""
    assert _answers("memory", request, topic_prefix, seed) == _answers(
        "real", request, topic_prefix, seed
    )


def _answers(kind: str, request: pytest.FixtureRequest, prefix: str, seed: int) -> list[Any]:
    chance, client = Random(seed), client_of(kind, request)
    claims = Claims(client, prefix, WIDTH, 2)
    claims.begin(0, (0, 0, 0))
    workers = [PartitionStore(client, prefix, 0, "balances", Patience(2.0)) for _ in range(3)]
    for worker in workers:
        worker.open()
    answers: list[Any] = []
    for step in range(250):
        start = chance.randint(0, step // 3 + 1)
        stop = start + chance.randint(0, 6)
        generation = chance.randint(step // 60, step // 60 + 1)
        names = [chance.choice("abcdefghij") for _ in range(start, stop)]
        data = chance.choice((b"1", b"2"))
        worker, key, due = chance.choice(workers), chance.choice("xyz"), chance.randint(0, 9)
        vector = (chance.randint(0, step), chance.randint(0, step), chance.randint(0, start))
        changes = Changes({key: str(step).encode()}, {key: (chance.randint(0, 9), due)})
        items = [item(name, start + index, data) for index, name in enumerate(names)]
        calls: tuple[Callable[[], Any], ...] = (
            lambda: claims.claim(0, start, stop, generation, items),  # noqa: B023 - called at once
            lambda: claims.acknowledge(0, vector, chance.randint(0, step * 17)),  # noqa: B023
            lambda: through(claims),
            lambda: worker.commit(at(due), changes),  # noqa: B023
            lambda: (worker.read(["x", "y", "z"]), worker.due(due)),  # noqa: B023
            lambda: worker.open(),  # noqa: B023, PLW0108 - the loop's worker
        )
        try:
            answers.append(chance.choice(calls)())
        except (ClaimsBehind, Fenced) as error:
            answers.append(type(error))
    return answers


@dataclass
class Logs:
    """A broker's clients, and how to make a topic."""

    consumer: Callable[[], Any]
    producer: Callable[[], Any]
    admin: Any
    log: Log
    topic: str


@pytest.fixture
def logs(
    kind: str,
    request: pytest.FixtureRequest,
    topic_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Logs]:
    """Clients of one topic of two partitions."""
    name = f"{topic_prefix}log"
    if kind == "memory":
        broker, node = Broker(Clock(parse_instant("2026-03-01T00:00:00Z"))), Calm()
        broker.create(name, 2)
        config = {"auto.offset.reset": "error", "enable.partition.eof": True}
        made = memory_admin.AdminClient(broker, node)
        monkeypatch.setattr(log_module, "AdminClient", lambda _: made)
        monkeypatch.setattr(
            log_module, "Consumer", lambda given: memory_consumer.Consumer(broker, node, given)
        )
        yield Logs(
            lambda: memory_consumer.Consumer(broker, node, config),
            lambda: memory_producer.Producer(broker, node),
            made,
            Log("memory"),
            name,
        )
        return
    address = request.getfixturevalue("kafka")
    admin = AdminClient({"bootstrap.servers": address})
    make_topics(address, [NewTopic(name, 2, 1)])
    settings = {
        "bootstrap.servers": address,
        "group.id": f"{name}-group",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
    }
    yield Logs(
        lambda: Consumer(settings),
        lambda: Producer({"bootstrap.servers": address, "enable.idempotence": True}),
        admin,
        Log(address),
        name,
    )
    with suppress(Exception):
        admin.delete_topics([name])[name].result(timeout=10)


def write(logs: Logs, partition: int, *values: bytes) -> list[Any]:
    """Write the values; what their reports said, in order."""
    told: list[Any] = []
    producer = logs.producer()
    for value in values:
        producer.produce(
            logs.topic,
            value=value,
            key=b"k",
            headers=[("h", value)],
            partition=partition,
            on_delivery=lambda error, _message: told.append(error),
        )
    assert told == [], "reports come by polling"
    assert producer.flush(PATIENCE_SECONDS) == 0
    return told


def read(consumer: Any, until: Callable[[list[Any]], bool]) -> list[Any]:
    """What comes, until it is enough; an end stands as (partition, offset, None)."""
    found: list[Any] = []
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not until(found):
        assert time.monotonic() < give_up, found
        for message in consumer.consume(100, 0.1):
            error = message.error()
            assert error is None or error.code() == KafkaError._PARTITION_EOF
            value = None if error is not None else message.value()
            found.append((message.partition(), message.offset(), value))
    return found


def ends(count: int) -> Callable[[list[Any]], bool]:
    return lambda found: sum(value is None for *_, value in found) >= count


@BOTH
def test_records_keep_the_order_of_their_producer(logs: Logs) -> None:
    assert write(logs, 0, b"a", b"b", b"c") == [None, None, None]
    write(logs, 1, b"d")
    consumer = logs.consumer()
    consumer.assign([TopicPartition(logs.topic, 0, 0), TopicPartition(logs.topic, 1, 0)])
    found = read(consumer, ends(2))
    consumer.close()
    of_first = [(at, value) for partition, at, value in found if partition == 0]
    assert of_first == [(0, b"a"), (1, b"b"), (2, b"c"), (3, None)]
    assert [(at, value) for partition, at, value in found if partition == 1] == [
        (0, b"d"),
        (1, None),
    ]


@BOTH
def test_reading_goes_on_where_it_is_assigned_and_the_end_is_told_again(logs: Logs) -> None:
    write(logs, 0, b"a", b"b")
    consumer = logs.consumer()
    consumer.assign([TopicPartition(logs.topic, 0, 1)])
    assert read(consumer, ends(1)) == [(0, 1, b"b"), (0, 2, None)]
    write(logs, 0, b"c")
    assert read(consumer, ends(1)) == [(0, 2, b"c"), (0, 3, None)]
    consumer.close()


@BOTH
def test_a_paused_partition_gives_nothing_and_loses_nothing(logs: Logs) -> None:
    place = [TopicPartition(logs.topic, 0, 0)]
    consumer = logs.consumer()
    consumer.assign(place)
    assert read(consumer, ends(1)) == [(0, 0, None)]
    consumer.pause(place)
    write(logs, 0, b"a")
    assert consumer.consume(10, 0.3) == []
    consumer.resume(place)
    assert read(consumer, ends(1)) == [(0, 0, b"a"), (0, 1, None)]
    consumer.close()


@BOTH
def test_partitions_are_added_and_taken_away(logs: Logs) -> None:
    write(logs, 0, b"a")
    write(logs, 1, b"b")
    consumer = logs.consumer()
    consumer.incremental_assign([TopicPartition(logs.topic, 0, 0)])
    assert read(consumer, ends(1)) == [(0, 0, b"a"), (0, 1, None)]
    consumer.incremental_assign([TopicPartition(logs.topic, 1, 0)])
    assert read(consumer, ends(1)) == [(1, 0, b"b"), (1, 1, None)]
    consumer.incremental_unassign([TopicPartition(logs.topic, 0)])
    write(logs, 0, b"c")
    write(logs, 1, b"d")
    assert read(consumer, ends(1)) == [(1, 1, b"d"), (1, 2, None)]
    consumer.close()


@BOTH
def test_a_record_has_its_key_headers_and_a_time_that_does_not_fall(logs: Logs) -> None:
    write(logs, 0, b"a", b"b")
    consumer = logs.consumer()
    consumer.assign([TopicPartition(logs.topic, 0, 0)])
    found: list[Any] = []
    give_up = time.monotonic() + PATIENCE_SECONDS
    while len(found) < 2 and time.monotonic() < give_up:
        found += [each for each in consumer.consume(10, 0.1) if each.error() is None]
    consumer.close()
    assert [(each.topic(), each.key(), each.headers()) for each in found] == [
        (logs.topic, b"k", [("h", b"a")]),
        (logs.topic, b"k", [("h", b"b")]),
    ]
    first, second = (each.timestamp()[1] for each in found)
    assert 0 < first <= second


@BOTH
def test_the_log_says_where_it_ends_and_what_it_holds(logs: Logs) -> None:
    write(logs, 0, b"a", b"b")
    log = logs.log
    assert log.partitions(logs.topic) == 2
    assert log.bounds(logs.topic, [0, 1]) == {0: (0, 2), 1: (0, 0)}
    assert [(at, value) for at, _, value, *_ in log.read(logs.topic, 0, 0, 2)] == [
        (0, b"a"),
        (1, b"b"),
    ]
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(logs.topic, 1): latest}
    (answer,) = logs.admin.list_offsets(asked, request_timeout=PATIENCE_SECONDS).values()
    assert answer.result(PATIENCE_SECONDS).offset == 0


@BOTH
def test_a_position_is_checked_against_the_log(logs: Logs) -> None:
    write(logs, 0, b"a", b"b")
    fresh = logs.log.check(logs.topic, 0, Position())
    assert fresh.topic_id
    read_to = Position(2, record_digest(b"b"), fresh.topic_id)
    assert logs.log.check(logs.topic, 0, read_to) == read_to
    for other in (
        Position(3, record_digest(b"c"), fresh.topic_id),
        Position(2, record_digest(b"c"), fresh.topic_id),
        Position(2, record_digest(b"b"), "another topic"),
    ):
        with pytest.raises(LogReplacedError):
            logs.log.check(logs.topic, 0, other)
