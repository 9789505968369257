"""Kafka and Redis in containers, where a Docker engine answers: for tests only."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import docker
from docker.errors import DockerException
from testcontainers.community.kafka import KafkaContainer
from testcontainers.community.redis import RedisContainer

from deploy.servers.find import Servers

_KAFKA_IMAGE: Final = "confluentinc/cp-kafka:7.9.0"
_REDIS_IMAGE: Final = "redis:7.4"
_BROKER: Final = {
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_LOG_MESSAGE_TIMESTAMP_TYPE": "LogAppendTime",
    "KAFKA_MESSAGE_MAX_BYTES": "9000000",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
}


def docker_answers() -> bool:
    """Does a Docker engine answer on this machine?"""
    try:
        client = docker.from_env(timeout=2)
    except DockerException:
        return False
    client.close()
    return True


@contextmanager
def containers() -> Iterator[Servers]:
    """Start both; they are gone when the context ends."""
    kafka = KafkaContainer(_KAFKA_IMAGE).with_kraft()
    for name, value in _BROKER.items():
        kafka.with_env(name, value)
    store = RedisContainer(_REDIS_IMAGE).with_command("redis-server --maxmemory-policy noeviction")
    with store, kafka:
        url = f"redis://{store.get_container_host_ip()}:{store.get_exposed_port(6379)}/0"
        yield Servers("containers", kafka.get_bootstrap_server(), url, append_time=True)
