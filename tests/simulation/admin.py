"""Kafka's questions about topics, over the log in memory, as far as the pipeline asks them."""

# ruff: noqa: D102 - as Kafka's client is called

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from tests.simulation.log import Broker
from tests.simulation.node import Node

_EARLIEST = OffsetSpec.earliest()._value  # type: ignore[no-untyped-call]
_AWAY = KafkaError(KafkaError._TRANSPORT)


class _Answer:
    def __init__(self, found: Callable[[], Any]) -> None:
        self._found = found

    def result(self, timeout: float | None = None) -> Any:
        assert timeout is None or timeout > 0
        return self._found()


@dataclass(frozen=True, slots=True)
class _Offset:
    offset: int


@dataclass(frozen=True, slots=True)
class _Described:
    topic_id: str


@dataclass(frozen=True, slots=True)
class _Topic:
    partitions: Sequence[int]
    error: None = None


@dataclass(frozen=True, slots=True)
class _Metadata:
    topics: dict[str, _Topic]


class AdminClient:
    """Questions about topics. Ends are those of the moment of asking, or of answering."""

    def __init__(self, broker: Broker, node: Node) -> None:
        self._broker, self._node = broker, node

    def list_topics(self, topic: str | None = None, timeout: float = 0) -> _Metadata:
        assert timeout > 0
        topics = self._broker.topics
        return _Metadata(
            {
                name: _Topic(range(len(partitions)))
                for name, partitions in topics.items()
                if topic in {None, name}
            }
        )

    def list_offsets(
        self, asked: Mapping[TopicPartition, OffsetSpec], **_how: object
    ) -> dict[TopicPartition, _Answer]:
        away = self._node.luck(0.02)
        return {
            place: _Answer(lambda: _Offset(0))
            if spec._value == _EARLIEST
            else self._end(place, away=away)
            for place, spec in asked.items()
        }

    def _end(self, place: TopicPartition, *, away: bool) -> _Answer:
        records = self._broker.partition((place.topic, place.partition))
        at_once = len(records) if self._node.luck(0.5) else None

        def answer() -> _Offset:
            if away:
                raise KafkaException(_AWAY)
            return _Offset(len(records) if at_once is None else at_once)

        return _Answer(answer)

    def describe_topics(self, names: object, **_how: object) -> dict[str, _Answer]:
        assert names is not None
        return {name: _Answer(partial(_Described, f"id of {name}")) for name in self._broker.topics}
