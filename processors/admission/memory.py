"""What the claims take of Redis' memory, looked at rarely and by a sample.

Keys are counted: each generation says how many it holds. Their bytes are estimated: MEMORY USAGE of
a few buckets of each segment, picked at random, times the number of buckets. That is some dozen
commands of microseconds each; to ask for every bucket would be ten thousand a million keys.
"""

import logging
import random
import re
import threading
import time
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

import redis
from redis.exceptions import RedisError, ResponseError

from processors.admission.claims import Claims
from processors.admission.observe import Status
from projections import metrics
from projections.metrics.errors import failed
from schemas.errors import DrawdownError

logger = logging.getLogger("drawdown")

SAMPLE_SECONDS: Final = 15.0
_SAMPLED: Final = 64
_LOOK_SECONDS: Final = 1.0
_GENERATION: Final = re.compile(rb"g(-?[0-9]+)")
_SEGMENT: Final = re.compile(rb"([0-9]+):([0-9]+)")


class Segment(NamedTuple):
    """Buckets of one generation that were made together, and how many keys they hold."""

    prefix: str
    buckets: int
    keys: int


def segments(key: str, fields: Mapping[bytes, bytes]) -> list[Segment]:
    """The live segments that the hash of a partition's claims tells of (`claims.lua`)."""
    found = []
    for field, text in fields.items():
        generation = _GENERATION.fullmatch(field)
        if generation is None:
            continue
        for number, (bits, keys) in enumerate(_SEGMENT.findall(text), 1):
            prefix = f"{key}:{generation[1].decode()}:{number}:"
            found.append(Segment(prefix, 2 ** int(bits), int(keys)))
    return found


def sample(client: redis.Redis, key: str) -> tuple[int, float]:
    """Keys claimed in one partition, and about how many bytes they take."""
    found = segments(key, cast("dict[bytes, bytes]", client.hgetall(key)))
    pipeline = client.pipeline(transaction=False)
    picked = []
    for segment in found:
        count = min(_SAMPLED, segment.buckets)
        picked.append(count)
        for bucket in random.sample(range(segment.buckets), count):
            pipeline.memory_usage(f"{segment.prefix}{bucket}")
    sizes = iter(cast("list[int | None]", pipeline.execute()) if found else [])
    size = 0.0
    for segment, count in zip(found, picked, strict=True):
        size += sum(next(sizes) or 0 for _ in range(count)) / count * segment.buckets
    return sum(segment.keys for segment in found), size


def watch_memory(client: redis.Redis, claims: Claims, status: Status, stage: str) -> None:
    """Look each `SAMPLE_SECONDS`, and when partitions come or go, in a thread of its own."""
    arguments = (client, claims, status, stage)
    threading.Thread(target=_watch, args=arguments, name="memory", daemon=True).start()


def _watch(client: redis.Redis, claims: Claims, status: Status, stage: str) -> None:
    looked_at: tuple[int, ...] = ()
    due = 0.0
    while True:
        partitions, now = status.partitions, time.monotonic()
        if (partitions or looked_at) and (partitions != looked_at or now >= due):
            try:
                _look(client, claims, partitions, stage)
            except ResponseError as error:  # MEMORY and INFO may be denied: then there is no figure
                logger.warning("the memory of claims stays unknown: %s", error)
                return
            except (RedisError, DrawdownError) as error:
                failed(error)
            for gone in set(looked_at).difference(partitions):
                metrics.CLAIMS_KEYS.remove(gone)
                metrics.CLAIMS_BYTES.remove(gone)
            looked_at, due = partitions, now + SAMPLE_SECONDS
        time.sleep(_LOOK_SECONDS)


def _look(client: redis.Redis, claims: Claims, partitions: tuple[int, ...], stage: str) -> None:
    for partition in partitions:
        keys, size = sample(client, claims.key(partition))
        metrics.CLAIMS_KEYS.labels(partition).set(keys)
        metrics.CLAIMS_BYTES.labels(partition).set(size)
    memory = cast("dict[str, int]", client.info("memory"))
    metrics.REDIS_USED_BYTES.labels(stage).set(memory["used_memory"])
    metrics.REDIS_LIMIT_BYTES.labels(stage).set(memory.get("maxmemory", 0))
