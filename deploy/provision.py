"""Create the topics that are missing, and refuse a cluster whose topics do not fit together."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from projections.access import Kafka
from projections.fold.connection import MetadataClient, ask_topics, kafka_client
from projections.refusals import Heard, kafka_denial
from schemas.errors import ConfigurationError, LogUnavailable
from schemas.topics import FOR_EVER, MAX_RECORD_BYTES, TOPICS, Topic

_TIMEOUT_SECONDS: Final = 30.0
_ASK_AGAIN_SECONDS: Final = 0.05


def create_topics(kafka: Kafka, topic_prefix: str, partitions: int, replication: int) -> list[str]:
    """Create what is missing; gives the names created.

    Raises ConfigurationError where a topic exists with another partition count: partition p of one
    stage feeds partition p of the next, so all of them must agree. Also where Kafka refuses this
    client. LogUnavailable when nobody answers.
    """
    heard = Heard()
    admin = AdminClient(kafka_client(kafka, heard))
    existing = ask_topics(admin, heard, kafka, _TIMEOUT_SECONDS)
    missing = []
    for topic in TOPICS:
        name, wanted = topic_prefix + topic.name, topic.partitions or partitions
        if name not in existing:
            missing.append(NewTopic(name, wanted, replication, config=_config(topic, replication)))
        elif len(existing[name].partitions) != wanted:
            message = (
                f"topic {name} has {len(existing[name].partitions)} partitions, "
                f"expected {wanted}: set DRAWDOWN_PARTITIONS to what the topics were made with"
            )
            raise ConfigurationError(message)
    if missing:
        make_topics(kafka, missing)
    return [new.topic for new in missing]


def make_topics(kafka: Kafka, new: Sequence[NewTopic]) -> None:
    """Create these topics, unless they exist; they can be used once this returns.

    Kafka's controller says "created" up to half a second (of a busy machine) before the broker
    lists them: whoever started a worker in between was told that there is no such topic.

    Raises ConfigurationError where Kafka refuses this client, LogUnavailable when nobody answers.
    """
    heard = Heard()
    admin = AdminClient(kafka_client(kafka, heard))
    for name, future in admin.create_topics(list(new), request_timeout=_TIMEOUT_SECONDS).items():
        try:
            future.result()
        except KafkaException as error:
            if denial := kafka_denial(error.args[0]):
                raise ConfigurationError(f"topic {name}: {denial}") from error
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                message = f"topic {name} could not be created: {error}"
                raise LogUnavailable(message) from error
    _wait_until_listed(admin, heard, kafka, {topic.topic for topic in new})


def _wait_until_listed(client: MetadataClient, heard: Heard, kafka: Kafka, names: set[str]) -> None:
    give_up = time.monotonic() + _TIMEOUT_SECONDS
    while unlisted := sorted(names - _led(ask_topics(client, heard, kafka, _TIMEOUT_SECONDS))):
        if time.monotonic() > give_up:
            message = (
                f"Kafka at {kafka} has created {', '.join(unlisted)}, but does not list them: it "
                "may lag, or this client may not describe them (`drawdown acl kafka` lists what a "
                "client must be allowed)"
            )
            raise LogUnavailable(message)
        time.sleep(_ASK_AGAIN_SECONDS)


def _led(topics: Mapping[str, Any]) -> set[str]:
    """The topics whose every partition has a leader."""
    return {
        name
        for name, topic in topics.items()
        if topic.partitions and all(part.leader >= 0 for part in topic.partitions.values())
    }


def _config(topic: Topic, replication: int) -> dict[str, str]:
    retention = topic.retention_milliseconds
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention),
        "retention.bytes": str(FOR_EVER),
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        # What is acknowledged survives the loss of a broker, where there are three of them.
        "min.insync.replicas": "2" if replication > 2 else "1",
    }
