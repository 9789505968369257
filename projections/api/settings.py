"""What the API is told of its surroundings."""

from pathlib import Path
from typing import Protocol

from projections.access import Kafka, Redis


class ApiSettings(Protocol):
    """Where to listen, what to read. `gateway_keys` is the file of keys; None: loopback only.

    `api_body_bytes` bounds the bodies of all requests under way.
    """

    topic_prefix: str
    key_prefix: str
    api_host: str
    api_port: int
    gateway_keys: Path | None
    api_body_bytes: int

    @property
    def kafka_access(self) -> Kafka: ...  # noqa: D102 - says it all
    @property
    def redis_access(self) -> Redis: ...  # noqa: D102 - says it all
