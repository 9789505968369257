"""Create the topics that are missing, and refuse a cluster whose topics do not fit together."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from projections.access import Kafka
from projections.fold.connection import ask_topics, kafka_client
from projections.refusals import Heard, kafka_denial
from schemas.errors import ConfigurationError, LogUnavailable
from schemas.topics import FOR_EVER, MAX_RECORD_BYTES, TOPICS, Topic

_TIMEOUT_SECONDS: Final = 30.0


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
        for name, future in admin.create_topics(missing).items():
            try:
                future.result(timeout=_TIMEOUT_SECONDS)
            except KafkaException as error:
                if denial := kafka_denial(error.args[0]):
                    raise ConfigurationError(f"topic {name}: {denial}") from error
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    message = f"topic {name} could not be created: {error}"
                    raise LogUnavailable(message) from error
    return [new.topic for new in missing]


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
