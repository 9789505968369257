"""Whether Redis lets the API read what it serves: seen at its start, not by whoever asks first."""

import logging
from typing import Final

from redis.exceptions import RedisError

from projections.access import Redis
from projections.balances.stage import STAGE as BALANCES
from projections.fold.connection import redis_client
from projections.fold.retry import raise_refusal
from projections.fold.store import base_key
from projections.metrics.errors import failed
from projections.rates.rows import STAGE as RATING

logger = logging.getLogger("drawdown")
_NONE: Final = "none"
"""A namespace, and a key of rows, that nobody has: what is asked is whether it may be asked."""


def check_store(store: Redis, key_prefix: str) -> None:
    """Make every kind of read that requests make.

    Raises ConfigurationError where Redis refuses this client or one of them. A Redis that does not
    answer is no matter for this check: `/readyz` tells of it, and it may be back by then.
    """
    pointers = [base_key(key_prefix, 0, stage) for stage in (RATING, BALANCES)]
    try:
        with redis_client(store) as client:
            client.ping()
            client.mget(pointers)
            pipeline = client.pipeline(transaction=True)
            for pointer in pointers:
                pipeline.get(pointer)
                pipeline.get(f"{pointer}:{_NONE}:position")
                pipeline.hmget(f"{pointer}:{_NONE}:rows", [_NONE])
            pipeline.hscan(f"{pointers[-1]}:{_NONE}:rows")
            pipeline.execute()
    except (RedisError, OSError) as error:
        raise_refusal(error)
        failed(error)
        logger.warning("Redis does not answer: %s", error)
