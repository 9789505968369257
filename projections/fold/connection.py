"""The connection to Redis, and whether that Redis can be trusted with rows and claims."""

import logging
from typing import Final, cast

import redis
from redis.exceptions import ResponseError

from schemas.errors import ConfigurationError

logger = logging.getLogger("drawdown")
_POLICY: Final = "maxmemory-policy"


def redis_client(url: str) -> redis.Redis:
    """A client that fails fast; waiting and repeating is `Patience`'s business."""
    return redis.Redis.from_url(
        url, socket_timeout=10.0, socket_connect_timeout=3.0, decode_responses=False
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
