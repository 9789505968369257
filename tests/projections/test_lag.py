"""How far behind a stage is: records, and the age of the oldest event that waits."""

import time
from collections.abc import Iterator

import polars as pl
import pytest
from confluent_kafka import Producer
from prometheus_client import REGISTRY

from deploy.provision import create_topics
from processors.rating.stage import RATING
from projections.balances.stage import BALANCES
from projections.fold import log as log_module
from projections.fold.kind import StageKind
from projections.fold.lag import LagMeter, age, received_at
from projections.fold.log import Log
from schemas.frames import JOURNAL_SCHEMA, RATED_SCHEMA, FrameKind, JournalHeader, OutputHeader
from schemas.frames import encode as frame
from schemas.topics import JOURNAL, USAGE

ZERO = (0, 0, 0)
SECOND = 1_000_000
HOUR = 3_600 * SECOND


def journal(stamps: list[int]) -> bytes:
    rows = pl.DataFrame(
        [{"kind": 0, "received_at": stamp} for stamp in stamps], schema=JOURNAL_SCHEMA
    )
    return frame(FrameKind.JOURNAL, JournalHeader(ZERO, ZERO, []), rows)


def rated(stamps: list[int]) -> bytes:
    rows = pl.DataFrame([{"kind": 0, "at": stamp} for stamp in stamps], schema=RATED_SCHEMA)
    return frame(FrameKind.RATED, OutputHeader(ZERO, ZERO), rows)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (RATING, journal([9, 7, 8]), 7),
        (RATING, journal([]), 5_000),
        (RATING, b"no frame", 5_000),
        (BALANCES, rated([7, 8]), 7),
        (BALANCES, rated([]), 5_000),
    ],
)
def test_when_the_oldest_event_of_a_record_was_received(
    kind: StageKind,
    value: bytes,
    expected: int,
) -> None:
    """A record without rows stands for itself: it was written at 5 ms."""
    assert received_at((0, 5, value, None, []), kind.received) == expected


def test_age_is_never_negative() -> None:
    assert age(3 * SECOND, 5 * SECOND) == 2
    assert age(5 * SECOND, 3 * SECOND) == 0


def told(name: str, stage: str, partition: int) -> float | None:
    return REGISTRY.get_sample_value(name, {"stage": stage, "partition": str(partition)})


@pytest.fixture
def log(kafka: str, topic_prefix: str) -> Log:
    create_topics(kafka, topic_prefix, 3, 1)
    return Log(kafka, topic_prefix)


@pytest.fixture
def producer(kafka: str) -> Iterator[Producer]:
    found = Producer({"bootstrap.servers": kafka, "message.max.bytes": 8_000_000})
    yield found
    found.flush(10)


@pytest.mark.integration
def test_lag_in_records_and_in_seconds(
    log: Log, producer: Producer, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two frames wait in partition 0, one was read; all of partition 1 was; 2 is empty."""
    monkeypatch.setattr(log_module, "_ASK_SECONDS", 60.0)
    now = time.time_ns() // 1_000
    for age_of in (3 * HOUR, 2 * HOUR, HOUR):
        value = journal([now - age_of])
        producer.produce(topic_prefix + JOURNAL.name, value, partition=0)
    producer.produce(topic_prefix + JOURNAL.name, journal([now]), partition=1)
    assert producer.flush(10) == 0
    meter = LagMeter(log, topic_prefix, JOURNAL, RATING.received)
    assert meter.measure({0: 1, 1: 1, 2: 0}) == 2
    assert told("drawdown_lag_records", topic_prefix, 0) == 2
    seconds = told("drawdown_lag_seconds", topic_prefix, 0)
    assert seconds is not None
    assert 7_200 <= seconds < 10_800
    for partition in (1, 2):
        assert told("drawdown_lag_records", topic_prefix, partition) == 0
        assert told("drawdown_lag_seconds", topic_prefix, partition) == 0
    assert meter.measure({0: 3}) == 0
    assert told("drawdown_lag_seconds", topic_prefix, 0) == 0
    assert told("drawdown_lag_seconds", topic_prefix, 1) is None


@pytest.mark.integration
def test_the_oldest_record_may_be_large(
    log: Log, producer: Producer, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame is cut below 8 MB."""
    monkeypatch.setattr(log_module, "_ASK_SECONDS", 60.0)
    for size in (5_000_000, 10):
        producer.produce(topic_prefix + JOURNAL.name, b"x" * size, partition=0)
        producer.produce(topic_prefix + JOURNAL.name, b"y" * size, partition=1)
    assert producer.flush(30) == 0
    found = log.first(JOURNAL.name, {0: 0, 1: 1})
    assert {number: (record[0], len(record[2])) for number, record in found.items()} == {
        0: (0, 5_000_000),
        1: (1, 10),
    }
    assert log.first(JOURNAL.name, {}) == {}


@pytest.mark.integration
def test_a_record_that_the_log_does_not_hold_is_left_out(log: Log) -> None:
    assert log.first(USAGE.name, {0: 7}) == {}
