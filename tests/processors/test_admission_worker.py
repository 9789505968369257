"""A real admission worker on a real broker and Redis, killed while it works."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from deploy.provision import create_topics
from processors.admission.claims import Claims, Held
from processors.admission.settings import AdmissionSettings, microseconds
from projections.fold.log import Log
from schemas.frames import JournalKind, Source, decode_journal
from schemas.partition import partition_of
from schemas.reasons import Reason
from schemas.times import format_instant
from schemas.topics import CATALOG, CREDITS, JOURNAL, REJECTED, USAGE
from tests.processors.admission import event
from tests.projections.delivery.processes import until

pytestmark = pytest.mark.integration

PARTITIONS = 2
ACCOUNTS = ("acme", "a1", "a2", "a3", "a4", "a5")
KILLS = 3
SECONDS = 90.0


@contextmanager
def worker(
    kafka: str, redis_url: str, prefix: str, batch: int = 500
) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.processors.admission_process"]
    process = subprocess.Popen([*command, kafka, redis_url, prefix, f"{prefix}member", str(batch)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Pipeline:
    """Sends raw records, and reads what became of them as a reader of the journal must."""

    def __init__(self, kafka: str, redis_url: str, prefix: str) -> None:
        self.kafka, self.redis_url, self.prefix = kafka, redis_url, prefix
        create_topics(kafka, prefix, PARTITIONS, 1)
        self.producer = Producer({"bootstrap.servers": kafka, "linger.ms": 5})
        self.sent = Counter[tuple[Source, int]]()
        width = microseconds(AdmissionSettings(kafka, redis_url).dedupe_window)
        self.claims = Claims(redis.Redis.from_url(redis_url), prefix, width, 1_000_000)

    def usage(self, value: bytes, partition: int) -> None:
        """Send a usage record to a partition, rightly or not."""
        self.producer.produce(self.prefix + USAGE.name, value, b"key", partition=partition)
        self.producer.poll(0)
        self.sent[Source.USAGE, partition] += 1

    def account(self, account: str) -> None:
        """Send an account's document."""
        partition = partition_of(account, PARTITIONS)
        value = f'{{"kind": "Account", "id": "{account}"}}'.encode()
        self.producer.produce(self.prefix + CREDITS.name, value, account, partition=partition)
        self.sent[Source.CREDITS, partition] += 1

    def flush(self) -> None:
        """Until the broker has all that was sent."""
        assert self.producer.flush(30) == 0

    def claimed(self) -> int:
        """Usage offsets claimed so far."""
        held = (self.claims.held(partition) for partition in range(PARTITIONS))
        return sum(at.through for at in held if at is not None)

    def wait(self) -> None:
        """Until everything that was sent is acknowledged; ticks stand in between."""
        until = time.monotonic() + SECONDS
        ends = Log(self.kafka, self.prefix).ends(USAGE.name, range(PARTITIONS))
        held = list[Held | None]()
        while time.monotonic() < until:
            held = [self.claims.held(partition) for partition in range(PARTITIONS)]
            if all(
                at is not None
                and at.vector[Source.USAGE] >= ends[partition]
                and at.vector[Source.CREDITS] >= self.sent[Source.CREDITS, partition]
                and at.vector[Source.CATALOG] >= 1
                for partition, at in enumerate(held)
            ):
                return
            time.sleep(0.1)
        pytest.fail(f"not admitted in {SECONDS} s: {held}, sent {self.sent}")

    def read(self, topic: str, partition: int) -> Iterator[bytes]:
        """The values of a partition from its beginning to its end."""
        settings = {"bootstrap.servers": self.kafka, "group.id": "x", "enable.partition.eof": True}
        consumer = Consumer(settings)
        consumer.assign([TopicPartition(self.prefix + topic, partition, 0)])
        while True:
            message = consumer.poll(SECONDS)
            assert message is not None, "the broker does not answer"
            if (error := message.error()) is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                break
            yield message.value() or b""
        consumer.close()

    def journal(self, partition: int) -> tuple[dict[tuple[int, int], str], list[str]]:
        """The outcome of each raw record, and ids and accounts in order; the first stands."""
        source_of = {
            JournalKind.USAGE: Source.USAGE,
            JournalKind.TICK: Source.USAGE,
            JournalKind.CREDITS: Source.CREDITS,
            JournalKind.CATALOG: Source.CATALOG,
        }
        vector, outcomes, order = [0, 0, 0], dict[tuple[int, int], str](), list[str]()
        for value in self.read(JOURNAL.name, partition):
            frame = decode_journal(value)
            assert all(a <= b for a, b in zip(frame.header.after, vector, strict=True)), "a gap"
            for row in frame.rows.iter_rows(named=True):
                source = source_of[JournalKind(row["kind"])]
                if row["offset"] >= vector[source]:
                    outcomes[source, row["offset"]] = JournalKind(row["kind"]).name.lower()
                    order.append(row["id"] or row["account"] or "")
            for place, offset, reason in frame.header.refused:
                if offset >= vector[place]:
                    outcomes[place, offset] = reason
            vector = [max(a, b) for a, b in zip(frame.header.upto, vector, strict=True)]
        assert sum(vector) == len(outcomes), "a record without an outcome"
        return outcomes, order

    def outcomes(self) -> Counter[str]:
        """How many raw records of all partitions had each outcome."""
        each = (self.journal(partition)[0].values() for partition in range(PARTITIONS))
        return Counter(itertools.chain.from_iterable(each))


@pytest.fixture
def pipeline(kafka: str, redis_url: str, topic_prefix: str) -> Pipeline:
    made = Pipeline(kafka, redis_url, topic_prefix)
    product = (
        b'{"kind": "Product", "id": "calls", "meter":'
        b' {"event_type": "api.call", "aggregation": "count"}}'
    )
    made.producer.produce(topic_prefix + CATALOG.name, product, b"calls")
    made.flush()
    time.sleep(0.01)
    return made


def now() -> str:
    return format_instant(time.time_ns() // 1_000)


def test_every_record_has_one_outcome_and_an_account_comes_before_its_usage(
    pipeline: Pipeline,
) -> None:
    for account in ACCOUNTS:
        pipeline.account(account)
    pipeline.flush()
    time.sleep(0.01)
    for number in range(600):
        account = ACCOUNTS[number % len(ACCOUNTS)]
        partition = partition_of(account, PARTITIONS)
        stray = number % 100 == 7
        identity = f"e{number - 12 if number % 20 == 19 else number}"
        value = event(subject=account, id=identity, time=now())
        pipeline.usage(b"{" if number % 60 == 1 else value, (partition + stray) % PARTITIONS)
    pipeline.flush()
    with worker(pipeline.kafka, pipeline.redis_url, pipeline.prefix) as process:
        pipeline.wait()
        until(lambda: _arrived(pipeline, 600 - 10), "strays, and a tick")
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    counts, ids = Counter[str](), Counter[str]()
    for partition in range(PARTITIONS):
        outcomes, order = pipeline.journal(partition)
        counts.update(outcomes.values())
        ids.update(name for name in order if name.startswith("e"))
        assert order[0] == "", "the catalog was sent first"
        accounts = [name for name in order if name in ACCOUNTS]
        assert accounts == order[1 : 1 + len(accounts)]
    assert set(ids.values()) == {1}
    assert counts[Reason.MALFORMED_JSON] == 10
    assert counts[Reason.FORWARDED] == 6
    assert len(ACCOUNTS) == counts["credits"]
    assert counts["usage"] + counts[Reason.DUPLICATE] + counts[Reason.CONFLICT] == 600 - 10
    assert counts["tick"] > 0
    rejected = sum(1 for p in range(PARTITIONS) for _ in pipeline.read(REJECTED.name, p))
    assert counts[Reason.DUPLICATE] + counts[Reason.MALFORMED_JSON] == rejected


def _arrived(pipeline: Pipeline, usage: int) -> bool:
    """Whether so much usage was decided, and a tick was made."""
    counts = pipeline.outcomes()
    decided = counts["usage"] + counts[Reason.DUPLICATE] + counts[Reason.CONFLICT]
    return decided >= usage and counts["tick"] > 0


@pytest.mark.slow
def test_killed_workers_lose_nothing_and_double_nothing(pipeline: Pipeline) -> None:
    events = 20_000
    pipeline.account("acme")
    for number in range(events):
        account = ACCOUNTS[number % len(ACCOUNTS)]
        identity = f"e{number // 2 if number % 20 == 19 else number}"
        value = event(subject=account, id=identity, time=now())
        pipeline.usage(value, partition_of(account, PARTITIONS))
    pipeline.flush()
    expected = {
        (ACCOUNTS[n % len(ACCOUNTS)], f"e{n // 2 if n % 20 == 19 else n}") for n in range(events)
    }
    chance = random.Random(7)
    for _ in range(KILLS):
        before = pipeline.claimed()
        with worker(pipeline.kafka, pipeline.redis_url, pipeline.prefix, batch=50) as process:
            while pipeline.claimed() == before:
                assert process.poll() is None
                assert before < events, "killed too late to matter"
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.03))
            os.kill(process.pid, signal.SIGKILL)
    assert pipeline.claimed() < events, "killed too late to matter"
    with worker(pipeline.kafka, pipeline.redis_url, pipeline.prefix):
        pipeline.wait()
    counts = pipeline.outcomes()
    assert len(expected) == counts["usage"]
    assert events - len(expected) == counts[Reason.DUPLICATE]


def test_claims_deleted_under_a_running_worker_end_it_and_are_made_again(
    pipeline: Pipeline,
) -> None:
    home = partition_of("acme", PARTITIONS)
    pipeline.account("acme")
    pipeline.usage(event(id="before", time=now()), home)
    pipeline.usage(b"{", 1 - home)
    pipeline.account(next(a for a in ACCOUNTS if partition_of(a, PARTITIONS) != home))
    pipeline.flush()
    client = redis.Redis.from_url(pipeline.redis_url)
    with worker(pipeline.kafka, pipeline.redis_url, pipeline.prefix) as process:
        pipeline.wait()
        for key in client.scan_iter(f"{pipeline.prefix}:*"):
            client.delete(key)
        pipeline.usage(event(id="before", time=now()), home)
        pipeline.flush()
        assert process.wait(SECONDS) == 72
    with worker(pipeline.kafka, pipeline.redis_url, pipeline.prefix):
        pipeline.wait()
    outcomes, _ = pipeline.journal(home)
    counts = Counter(outcomes.values())
    assert (counts["usage"], counts[Reason.DUPLICATE]) == (1, 1)
    client.close()


def test_a_negative_event_claims_nothing_so_its_corrected_resend_is_accepted(
    pipeline: Pipeline,
) -> None:
    """The worker restarts in between: what is metered is known again from the catalog's log."""
    product = (
        b'{"kind": "Product", "id": "tokens", "meter":'
        b' {"event_type": "llm", "aggregation": "sum", "value": "use.n"}}'
    )
    pipeline.producer.produce(pipeline.prefix + CATALOG.name, product, b"tokens")
    pipeline.account("acme")
    other = next(a for a in ACCOUNTS if partition_of(a, PARTITIONS) != partition_of("acme", 2))
    pipeline.account(other)
    pipeline.flush()
    time.sleep(0.01)
    home = partition_of("acme", PARTITIONS)
    pipeline.usage(b"{", 1 - home)
    for values in ((-5, "-0.5"), (-1, 5)):
        for value in values:
            data = {"use": {"n": value}}
            pipeline.usage(event(id="e1", type="llm", time=now(), data=data), home)
        pipeline.flush()
        with worker(pipeline.kafka, pipeline.redis_url, pipeline.prefix):
            pipeline.wait()
    outcomes, _ = pipeline.journal(home)
    of_usage = sorted(
        (at, name) for (source, at), name in outcomes.items() if source == Source.USAGE
    )
    found = [name for _, name in of_usage if name != "tick"]
    assert found == [Reason.NEGATIVE_QUANTITY] * 3 + ["usage"]
