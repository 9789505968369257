"""What alternatives on Kafka are read by: committed offsets, and what is committed in topics."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.bench.contender import Work

_TIMEOUT_SECONDS: Final = 30.0
_COORDINATOR_MOVES: Final = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)


def create(kafka: str, topic: str, partitions: int, config: Mapping[str, str]) -> None:
    """Make a topic. Raises KafkaException where it is there already."""
    admin = AdminClient({"bootstrap.servers": kafka})
    made = admin.create_topics([NewTopic(topic, partitions, 1, config=dict(config))])
    made[topic].result(timeout=_TIMEOUT_SECONDS)


def records(kafka: str, topic: str) -> Iterator[tuple[bytes, bytes | None]]:
    """(key, value) of all that is committed in a topic now, in order within each partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "bench-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 3,
        }
    )
    try:
        there = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in there])
        left = set(there)
        while left:
            messages = consumer.consume(10_000, timeout=_TIMEOUT_SECONDS)
            if not messages:
                raise TimeoutError(f"{topic} does not come to its end")
            for message in messages:
                error = message.error()
                if error is None:
                    yield message.key() or b"", message.value()
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()


@dataclass
class Committed:
    """The offsets that a group has committed; one connection, opened when first asked."""

    kafka: str
    group: str
    _consumer: Consumer | None = field(default=None, repr=False)

    def offsets(self, topic: str, partitions: int) -> dict[int, int]:
        """The next offset of each partition, 0 where none was committed or nobody can say."""
        if self._consumer is None:
            self._consumer = Consumer(
                {"bootstrap.servers": self.kafka, "group.id": self.group, "log_level": 3}
            )
        asked = [TopicPartition(topic, number) for number in range(partitions)]
        try:
            found = self._consumer.committed(asked, timeout=_TIMEOUT_SECONDS)
        except KafkaException as error:
            if error.args[0].code() not in _COORDINATOR_MOVES:
                raise
            return dict.fromkeys(range(partitions), 0)
        return {at.partition: max(at.offset, 0) for at in found}

    def close(self) -> None:
        """End the connection."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


class ByGroup:
    """What contenders share that commit what they apply with the offsets of their group."""

    def __init__(self, group: Callable[[Work], str]) -> None:
        self._group = group
        self._committed: Committed | None = None

    def servers(self) -> dict[str, int]:
        """None of its own."""
        return {}

    def done(self, work: Work, ends: Mapping[int, int]) -> bool:
        """Have the offsets been committed?"""
        if self._committed is None:
            self._committed = Committed(work.kafka, self._group(work))
        at = self._committed.offsets(work.usage, work.partitions)
        return all(at[number] >= end for number, end in ends.items())

    def close(self) -> None:
        """End the connection that asks for offsets."""
        if self._committed is not None:
            self._committed.close()
            self._committed = None


def sent_alerts(work: Work, contender: str) -> list[tuple[str, str, str]]:
    """(id, account, type) of the JSON alerts that consumers of committed records see."""
    sent = [json.loads(value or b"") for _, value in records(work.kafka, work.alerts(contender))]
    return [(alert["id"], alert["account"], alert["type"]) for alert in sent]
