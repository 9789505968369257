"""What goes wrong with Redis and Kafka is counted by what was wrong, as the process' stage."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, Producer
from prometheus_client import REGISTRY
from redis import exceptions

from deploy.servers.process import free_port
from projections.fold.connection import kafka_client
from projections.fold.retry import Patience
from projections.metrics import errors
from projections.metrics.series import begin
from schemas.errors import LogUnavailable, StoreUnavailable

STAGE = "test-failures"
PATIENCE_SECONDS = 60.0


@pytest.fixture(autouse=True)
def counted() -> Iterator[None]:
    """This process counts as a stage for a while."""
    begin(STAGE)
    errors.count_as(STAGE)
    yield
    errors._Process.stage = None


def count(server: str, reason: str) -> float:
    found = REGISTRY.get_sample_value(
        f"drawdown_{server}_errors_total", {"stage": STAGE, "reason": reason}
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.ConnectionError(), "connection"),
        (ConnectionRefusedError(), "connection"),
        (exceptions.TimeoutError(), "timeout"),
        (TimeoutError(), "timeout"),
        (exceptions.BusyLoadingError(), "loading"),
        (exceptions.ReadOnlyError(), "read_only"),
        (exceptions.OutOfMemoryError(), "out_of_memory"),
        (exceptions.ResponseError(), "other"),
    ],
)
def test_redis_reasons(error: Exception, reason: str) -> None:
    before = count("redis", reason)
    errors.failed(error)
    assert count("redis", reason) == before + 1
    wrapped = StoreUnavailable("Redis")
    wrapped.__cause__ = error
    errors.failed(wrapped)
    assert count("redis", reason) == before + 2


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (KafkaError._TRANSPORT, "transport"),
        (KafkaError._ALL_BROKERS_DOWN, "all_brokers_down"),
        (KafkaError._TIMED_OUT, "timed_out"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "other"),
    ],
)
def test_kafka_reasons(code: int, reason: str) -> None:
    before = count("kafka", reason)
    errors.kafka_met(KafkaError(code))
    assert count("kafka", reason) == before + 1


def test_a_client_without_a_broker_counts_what_it_meets() -> None:
    """Nobody listens on this port: librdkafka tells so through the callback."""
    before = count("kafka", "transport")
    producer = Producer(kafka_client(f"127.0.0.1:{free_port()}"))
    give_up = time.monotonic() + PATIENCE_SECONDS
    while count("kafka", "transport") == before and time.monotonic() < give_up:
        producer.poll(0.1)
    assert count("kafka", "transport") > before


def test_of_what_keeps_happening_one_line_of_a_kind_is_told_in_a_while() -> None:
    repeats = errors.Repeats(30)
    assert repeats.kept_back(1, 5) == 0
    assert [repeats.kept_back(1, 5 + seconds) for seconds in (0, 1, 29)] == [None] * 3
    assert repeats.kept_back(2, 6) == 0
    assert repeats.kept_back(1, 35) == 3
    assert repeats.kept_back(1, 36) is None
    assert repeats.kept_back(1, 65) == 1


def test_how_many_were_not_told_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeats = errors.Repeats(1e9)
    monkeypatch.setattr(errors._Process, "repeats", repeats)
    away = KafkaError(KafkaError._TRANSPORT, "it is away")
    for _ in range(3):
        errors.kafka_met(away)
    repeats.seconds = 0
    errors.kafka_met(away)
    more = "; 2 more of its kind since the last line"
    assert caplog.messages == ["Kafka client: it is away", f"Kafka client: it is away{more}"]


def test_a_log_that_does_not_answer_is_unavailable() -> None:
    before = count("kafka", "unavailable")
    errors.failed(LogUnavailable("silence"))
    assert count("kafka", "unavailable") == before + 1


def test_each_failed_call_that_is_waited_out_counts() -> None:
    answers = iter([exceptions.TimeoutError(), exceptions.TimeoutError()])

    def call() -> str:
        for error in answers:
            raise error
        return "answered"

    before = count("redis", "timeout")
    assert Patience(5.0).run(call) == "answered"
    assert count("redis", "timeout") == before + 2


def test_a_command_that_nobody_scrapes_counts_nothing() -> None:
    errors._Process.stage = None
    before = count("redis", "timeout")
    errors.failed(exceptions.TimeoutError())
    errors.kafka_met(KafkaError(KafkaError._TRANSPORT))
    assert count("redis", "timeout") == before
