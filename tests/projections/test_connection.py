"""A Redis that may evict is refused before anything is stored in it."""

import pytest
import redis

from projections.fold.connection import check_eviction, check_partitions, redis_client
from schemas.errors import ConfigurationError


@pytest.mark.integration
def test_a_redis_that_evicts_is_refused(redis_url: str) -> None:
    client = redis_client(redis_url)
    check_eviction(client)
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(ConfigurationError, match="noeviction"):
            check_eviction(client)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.close()


@pytest.mark.integration
def test_a_redis_that_does_not_tell_is_taken_at_its_word(redis_url: str) -> None:
    admin = redis_client(redis_url)
    admin.acl_setuser("reader", enabled=True, nopass=True, commands=["+@all", "-info"], keys=["*"])
    client = redis.Redis.from_url(redis_url, username="reader", password="any")
    try:
        check_eviction(client)
    finally:
        client.close()
        admin.acl_deluser("reader")
        admin.close()


@pytest.mark.integration
def test_partitions_that_were_added_are_refused(redis_url: str, topic_prefix: str) -> None:
    with redis_client(redis_url) as client:
        check_partitions(client, topic_prefix, 4)
        check_partitions(client, topic_prefix, 4)
        with pytest.raises(ConfigurationError, match="cannot be added"):
            check_partitions(client, topic_prefix, 6)
