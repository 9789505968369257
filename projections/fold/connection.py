"""Connections to Kafka and Redis, and whether that Redis can be trusted with rows and claims.

A server that has not answered within `ANSWER_SECONDS` is taken for hung: its connection is given up
and what was asked is asked again. Left to themselves, clients of Kafka wait for 40 to 90 s.
"""

import logging
from typing import Final, cast

import redis
from redis.exceptions import ResponseError

from schemas.errors import ConfigurationError

logger = logging.getLogger("drawdown")
ANSWER_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 3.0
_POLICY: Final = "maxmemory-policy"


def kafka_client(address: str) -> dict[str, str | int | float | bool]:
    """What every client of confluent-kafka is told."""
    return {"bootstrap.servers": address, "socket.timeout.ms": int(ANSWER_SECONDS * 1000)}


def redis_client(url: str) -> redis.Redis:
    """A client that fails fast; waiting and repeating is `Patience`'s business."""
    return redis.Redis.from_url(
        url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=_CONNECT_SECONDS
    )


def check_eviction(client: redis.Redis) -> None:
    """Raises ConfigurationError for a Redis that may evict: rows would vanish one by one.

    A server that does not tell (a managed one, or a user without CONFIG) is taken at its word.
    """
    try:
        told = cast("dict[str, str]", client.config_get(_POLICY))
    except ResponseError as error:
        logger.warning("Redis does not tell its %s, which must be noeviction: %s", _POLICY, error)
        return
    policy = told.get(_POLICY, "noeviction")
    if policy != "noeviction":
        message = f"Redis has {_POLICY} {policy}: set it to noeviction, or rows and claims vanish"
        raise ConfigurationError(message)
