"""Claims on a real Redis: who owns a key, what is refused, and how little a key costs."""

from collections.abc import Iterator

import pytest
import redis

from processors.admission.claims import CLAIMED, CONFLICT, DUPLICATE, Claims, Held, pack
from processors.admission.fingerprint import content_digest, key_digest
from schemas.errors import ClaimsBehind, ConfigurationError, Fenced, StoreUnavailable

pytestmark = pytest.mark.integration

WIDTH = 1_000
G = 7
OK, TWICE, OTHER = bytes((CLAIMED,)), bytes((DUPLICATE,)), bytes((CONFLICT,))


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


@pytest.fixture
def claims(client: redis.Redis, topic_prefix: str) -> Claims:
    found = Claims(client, topic_prefix, WIDTH, 1_000)
    found.begin(3, (0, 0, 0))
    return found


def item(name: str, offset: int, data: bytes = b"{}") -> bytes:
    return pack(key_digest("acme", "api", name), offset, content_digest("t", data))


def test_a_key_is_claimed_once_and_again_by_the_same_offset(claims: Claims) -> None:
    both = [item("a", 0), item("a", 1), item("a", 2, b"[]")]
    assert claims.claim(3, 0, 3, G, both) == OK + TWICE + OTHER
    assert claims.claim(3, 0, 3, G, both) == OK + TWICE + OTHER
    assert Held(3, (0, 0, 0), 0) == claims.held(3)


def test_a_claim_of_a_release_that_kept_more_of_the_content_is_a_repeat(
    claims: Claims, client: redis.Redis
) -> None:
    """It says nothing of the content: no repeat may be called a conflict because of it."""
    assert claims.claim(3, 0, 1, G, [item("a", 0)]) == OK
    (bucket,) = client.scan_iter(f"{claims.key(3)}:*")
    ((field, value),) = client.hgetall(bucket).items()
    assert isinstance(value, bytes)
    client.hset(bucket, field, value[:5] + content_digest("t", b"{}", size=6))
    assert claims.claim(3, 0, 2, G, [item("a", 0), item("a", 1)]) == OK + TWICE


def test_a_key_is_found_in_the_generation_before_and_not_two_before(claims: Claims) -> None:
    assert claims.claim(3, 0, 1, G, [item("a", 0)]) == OK
    assert claims.claim(3, 1, 2, G + 1, [item("a", 1)]) == TWICE
    assert claims.claim(3, 2, 3, G + 2, [item("a", 2)]) == OK
    assert claims.claim(3, 0, 1, G, [item("a", 0)]) == OK


def test_a_claim_is_found_in_every_segment(client: redis.Redis, topic_prefix: str) -> None:
    claims = Claims(client, topic_prefix, WIDTH, 100)
    claims.begin(3, (0, 0, 0))
    for start in range(0, 2_000, 100):  # more than a segment was made for, so there are several
        claims.claim(3, start, start + 100, G, [item(str(n), n) for n in range(start, start + 100)])
    segments = client.hget(claims.key(3), f"g{G}")
    assert isinstance(segments, bytes)
    assert segments.count(b",") > 0
    asked = [item(str(n), 2_000) for n in range(2_000)]
    assert claims.find(3, G, asked) == claims.find(3, G + 1, asked) == TWICE * 2_000
    assert claims.find(3, G, [item(str(n), n) for n in range(2_000)]) == OK * 2_000


def test_a_batch_above_what_was_claimed_is_refused(claims: Claims) -> None:
    claims.claim(3, 0, 5, G, [])
    with pytest.raises(ClaimsBehind):
        claims.claim(3, 6, 7, G, [item("a", 6)])
    assert claims.claim(3, 5, 7, G, [item("a", 5)]) == OK


def test_claims_rolled_back_refuse_the_running_worker(claims: Claims, client: redis.Redis) -> None:
    claims.claim(3, 0, 5, G, [item("a", 0)])
    for key in client.scan_iter(f"{claims.key(3)}*"):
        client.delete(key)
    with pytest.raises(ClaimsBehind):
        claims.claim(3, 5, 6, G, [item("b", 5)])
    with pytest.raises(ClaimsBehind):
        claims.acknowledge(3, (0, 0, 5), 0)
    assert claims.held(3) is None


def test_the_vector_never_passes_what_was_claimed_and_never_goes_back(claims: Claims) -> None:
    claims.claim(3, 0, 5, G, [])
    with pytest.raises(ClaimsBehind):
        claims.acknowledge(3, (0, 0, 6), G * WIDTH)
    claims.acknowledge(3, (1, 2, 4), G * WIDTH)
    claims.acknowledge(3, (2, 1, 3), G * WIDTH - 1)
    assert Held(5, (2, 2, 4), G * WIDTH) == claims.held(3)


def test_beginning_again_changes_nothing(claims: Claims) -> None:
    claims.claim(3, 0, 5, G, [])
    claims.begin(3, (9, 9, 9))
    assert Held(5, (0, 0, 0), 0) == claims.held(3)


def test_a_generation_is_freed_when_the_acknowledged_clock_is_two_past_it(
    claims: Claims, client: redis.Redis
) -> None:
    claims.claim(3, 0, 500, G, [item(str(n), n) for n in range(500)])
    pattern = f"{claims.key(3)}:*"
    claims.acknowledge(3, (0, 0, 500), (G + 1) * WIDTH)
    assert list(client.scan_iter(pattern))
    claims.acknowledge(3, (0, 0, 500), (G + 2) * WIDTH)
    assert list(client.scan_iter(pattern)) == []
    with pytest.raises(Fenced):
        claims.claim(3, 0, 1, G, [item("late", 0)])


def test_a_generation_grows_beyond_what_was_expected(
    client: redis.Redis, topic_prefix: str
) -> None:
    claims = Claims(client, topic_prefix, WIDTH, 100)
    claims.begin(3, (0, 0, 0))
    for start in range(0, 2_000, 100):
        items = [item(str(n), n) for n in range(start, start + 100)]
        assert claims.claim(3, start, start + 100, G, items) == OK * 100
    again = [item(str(n), 2_000 + n) for n in range(2_000)]
    assert claims.claim(3, 2_000, 4_000, G, again) == TWICE * 2_000
    entries = [client.hlen(key) for key in client.scan_iter(f"{claims.key(3)}:*")]
    assert max(entries) <= 128


def test_another_dedupe_window_is_refused(client: redis.Redis, topic_prefix: str) -> None:
    Claims(client, topic_prefix, WIDTH, 100).begin(3, (0, 0, 0))
    with pytest.raises(ConfigurationError, match="dedupe window"):
        Claims(client, topic_prefix, WIDTH + 1, 100).held(3)


def test_a_redis_that_does_not_answer_is_unavailable() -> None:
    client = redis.Redis(port=1, socket_timeout=1)
    with pytest.raises(StoreUnavailable):
        Claims(client, "x", WIDTH, 100).held(0)


@pytest.mark.slow
def test_a_key_costs_at_most_40_bytes(client: redis.Redis, topic_prefix: str) -> None:
    claims = Claims(client, topic_prefix, WIDTH, 200_000)
    claims.begin(3, (0, 0, 0))
    before = client.info("memory")["used_memory"]
    for start in range(0, 200_000, 10_000):
        items = [item(str(n), n) for n in range(start, start + 10_000)]
        claims.claim(3, start, start + 10_000, G, items)
    used = client.info("memory")["used_memory"] - before
    assert used / 200_000 <= 40
