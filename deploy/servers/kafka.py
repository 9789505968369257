"""Does a Kafka broker answer? Asked with the client that the workers use."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.servers.process import LOOPBACK, answers

_ANSWER_SECONDS = 2.0


def kafka_answers(port: int) -> bool:
    """Does the broker on this loopback port give its metadata, with itself in it?"""
    if not answers(port):
        return False
    client = AdminClient({"bootstrap.servers": f"{LOOPBACK}:{port}", "log_level": 0})
    try:
        return bool(client.list_topics(timeout=_ANSWER_SECONDS).brokers)
    except KafkaException:
        return False
