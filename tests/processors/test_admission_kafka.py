"""Errors of Kafka's client: which of them a worker waits out, and which end it."""

import time
from contextlib import suppress

import pytest
from confluent_kafka import Consumer, KafkaError
from confluent_kafka.cimpl import NewTopic

from deploy.provision import make_topics
from processors.admission.kafka import Fetched, map_error
from schemas.errors import Fenced, LogError, LogReplacedError, LogUnavailable

PATIENCE_SECONDS = 60


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError._TRANSPORT, LogUnavailable),
        (KafkaError._ALL_BROKERS_DOWN, LogUnavailable),
        (KafkaError.FENCED_INSTANCE_ID, Fenced),
        (KafkaError._AUTO_OFFSET_RESET, LogReplacedError),
        (KafkaError._FATAL, LogError),
    ],
)
def test_each_error_means_what_it_says(code: int, expected: type[Exception]) -> None:
    """A fatal one does not pass: the client does nothing more after it, and tells it once."""
    assert type(map_error(KafkaError(code))) is expected


@pytest.mark.integration
@pytest.mark.apache  # the embedded broker lets both of them be
def test_a_consumer_whose_place_was_taken_says_so(kafka: str, topic_prefix: str) -> None:
    """It is told once; whoever takes that for an outage waits for ever, without partitions."""
    topic = f"{topic_prefix}taken"
    make_topics(kafka, [NewTopic(topic, 1, 1)])
    first, second = (static_member(kafka, topic) for _ in range(2))
    first.subscribe([topic])
    give_up = time.monotonic() + PATIENCE_SECONDS
    try:
        while not first.assignment():
            assert time.monotonic() < give_up
            first.consume(1, 0.1)
        second.subscribe([topic])
        with pytest.raises((Fenced, LogError)):
            go_on(first, second, give_up)
    finally:
        second.close()
        first.close()


def go_on(first: Consumer, second: Consumer, give_up: float) -> None:
    while time.monotonic() < give_up:
        second.consume(1, 0.1)
        with suppress(LogUnavailable):
            Fetched(first.consume(1, 0.1)).check()


def static_member(kafka: str, topic: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": topic,
            "group.instance.id": "one",
            "session.timeout.ms": 6_000,
            "log_level": 0,
        }
    )
