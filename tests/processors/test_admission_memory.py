"""What claims take of Redis: keys counted, bytes by a sample of the buckets."""

from collections.abc import Iterator
from typing import cast

import pytest
import redis

from processors.admission.claims import Claims, pack
from processors.admission.fingerprint import content_digest, key_digest
from processors.admission.memory import Segment, sample, segments

WIDTH = 1_000


def test_live_generations_tell_their_segments() -> None:
    fields = {
        b"through": b"5",
        b"vector": b"0,0,5",
        b"g7": b"2:30,3:41",
        b"g8": b"1:9",
        b"d6": b"0/4:12",
    }
    assert segments("k", fields) == [
        Segment("k:7:1:", 4, 30),
        Segment("k:7:2:", 8, 41),
        Segment("k:8:1:", 2, 9),
    ]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


@pytest.mark.integration
def test_a_sample_is_near_the_whole(client: redis.Redis, topic_prefix: str) -> None:
    """20,000 keys in 256 buckets, of which 64 are asked; then some in the next generation."""
    claims = Claims(client, topic_prefix, WIDTH, 20_000)
    claims.begin(0, (0, 0, 0))
    for generation, start, stop in ((7, 0, 20_000), (8, 20_000, 20_010)):
        items = [
            pack(key_digest("acme", "api", f"e{n}"), n, content_digest("t", b"{}"))
            for n in range(start, stop)
        ]
        claims.claim(0, start, stop, generation, items)
    whole = sum(
        cast("int", client.memory_usage(key))
        for key in client.scan_iter(f"{claims.key(0)}:*", count=1_000)
    )
    keys, size = sample(client, claims.key(0))
    assert keys == 20_010
    assert 0.8 * whole < size < 1.25 * whole


@pytest.mark.integration
def test_a_partition_without_claims_takes_nothing(client: redis.Redis, topic_prefix: str) -> None:
    assert sample(client, f"{topic_prefix}:nothing") == (0, 0)
