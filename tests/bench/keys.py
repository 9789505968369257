"""Bytes of Redis for each live idempotency key: digest, coordinate and fingerprint of its content.

Keys are claimed through admission's own script, in batches as admission makes them.
"""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

import redis

from deploy.settings import Settings, load_settings
from processors.admission.claims import CLAIMED, Claims, pack
from processors.admission.fingerprint import content_digest, key_digest
from tests.bench.servers import redis_server
from tests.bench.session import Row, Section, Session

_BATCH: Final = 5_000
_DATA: Final = b'{"model":"large","region":"eu","input_tokens":1000,"output_tokens":100}'
_PREFIX: Final = "bench"
_SCANNED: Final = 5_000


def run(session: Session) -> Section:
    """As many keys as events, and ten times as many; with the default settings, then told."""
    settings = load_settings()
    told = 10 * session.events // session.partitions
    plans = (
        (session.events, settings.keys_per_generation),
        (10 * session.events, settings.keys_per_generation),
        (10 * session.events, told),
    )
    rows = [_measure(session, keys, expected, settings) for keys, expected in plans]
    note = (
        f"{session.partitions} partitions; *expected* is the setting `keys_per_generation` of a"
        " partition. *used_memory*: what the whole server grew by; *MEMORY USAGE*: of the claims."
    )
    return Section("keys", "Redis for each live key", note, rows)


def _measure(session: Session, keys: int, expected: int, settings: Settings) -> Row:
    session.say(f"keys: {keys:,}")
    folder = session.folder / f"redis-{time.monotonic_ns()}"
    with redis_server(folder, durable=False) as server:
        client = redis.Redis.from_url(server.address)
        claims = Claims(client, _PREFIX, settings.duration("dedupe_window"), expected)
        before = _used(client)
        started = time.monotonic()
        _claim(claims, keys, session.partitions, settings.duration("dedupe_window"))
        seconds = time.monotonic() - started
        return {
            "keys": keys,
            "expected": expected,
            "bytes a key, used_memory": round((_used(client) - before) / keys, 1),
            "bytes a key, MEMORY USAGE": round(claim_bytes(client, _PREFIX) / keys, 1),
            "seconds to claim": round(seconds, 1),
        }


def _claim(claims: Claims, keys: int, partitions: int, window: int) -> None:
    generation = time.time_ns() // 1_000 // window
    for partition in range(partitions):
        claims.begin(partition, (0, 0, 0))
        items = _items(partition, len(range(partition, keys, partitions)))
        start = 0
        while batch := list(islice(items, _BATCH)):
            stop = start + len(batch)
            answers = claims.claim(partition, start, stop, generation, batch)
            assert set(answers) == {CLAIMED}, "keys that are new were not claimed"
            start = stop


def _items(partition: int, keys: int) -> Iterator[bytes]:
    content = content_digest("llm.request", _DATA)
    for number in range(keys):
        account = f"account-{number % 10_000}"
        yield pack(key_digest(account, "bench", f"{partition}-{number}"), number, content)


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


def claim_bytes(client: redis.Redis, prefix: str) -> int:
    """Redis memory of all claims under a key prefix, by MEMORY USAGE."""
    total = 0
    names = client.scan_iter(match=f"{prefix}:*:claims*", count=_SCANNED)
    while some := list(islice(names, _SCANNED)):
        pipeline = client.pipeline(transaction=False)
        for name in some:
            pipeline.memory_usage(name, samples=0)
        total += sum(pipeline.execute())
    return total
