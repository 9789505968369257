"""A Redis that forgets every transaction when it loads its append-only file, and nothing else.

Redis replays the file as the user "default", and several releases let that user's permissions
decide what a transaction may do (redis/redis#14541, valkey-io/valkey#3983): where it is switched
off and left without them, what was written alone comes back, and what was written together does
not. So nothing that says how far a fold has come may ever be written alone.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import redis

from deploy.servers.find import Servers
from deploy.servers.process import LOOPBACK, answers
from deploy.servers.redis import RedisServer, redis_binary
from ingest import Producer
from processors.admission.claims import Claims, Held
from projections.delivery.store import DeliveryStore
from projections.fold.position import Position
from projections.fold.retry import Patience
from projections.fold.store import PartitionStore
from projections.rows import Changes
from tests.deploy.driven import documents, usage
from tests.system.pipeline import Pipeline, running

pytestmark = [pytest.mark.integration, pytest.mark.apache, pytest.mark.slow]
SETTLE_SECONDS: Final = 120
ACCOUNTS: Final = 6
DAY: Final = 86_400_000_000
IDLE_SECONDS: Final = 3.0
"""Ticks come each second, and are committed without a row."""


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[tuple[RedisServer, str]]:
    """The server, and the URL of a user who may do everything."""
    binary, password = redis_binary(), secrets.token_urlsafe()
    assert binary is not None, "redis-server is not installed"
    users = tmp_path / "users.acl"
    users.write_text(f"user default off\nuser all on >{password} ~* &* +@all\n")
    server = RedisServer(binary, tmp_path / "redis", log=tmp_path / "redis.log", persistent=True)
    server.process.command = [*server.process.command, "--aclfile", str(users)]
    asked = f"AUTH all {password}\r\nPING\r\n".encode()  # refused as long as it loads its file
    server.process.ready = lambda: answers(server.port, asked, b"+OK\r\n+PONG")
    with server:
        yield server, f"redis://all:{password}@{LOOPBACK}:{server.port}/0"


def test_what_it_forgets_is_folded_again(
    servers: Servers, forgetful: tuple[RedisServer, str], topic_prefix: str, tmp_path: Path
) -> None:
    """Nothing is drawn twice, and no row is missing under a position that says it is there."""
    store, url = forgetful
    own = replace(servers, redis_url=url)
    with running(own, topic_prefix, tmp_path, tick_idle_seconds="1") as pipeline:
        pipeline.apply(documents(ACCOUNTS))
        send(pipeline)
        pipeline.wait_until_settled(SETTLE_SECONDS)
        idle(pipeline)
        before = [pipeline.balance(f"a{number}") for number in range(ACCOUNTS)]
        store.kill()
        store.start()
        assert "no permission to execute" in (tmp_path / "redis.log").read_text()
        send(pipeline)
        pipeline.wait_until_settled(SETTLE_SECONDS)
        assert [pipeline.balance(f"a{number}") for number in range(ACCOUNTS)] == before
        pipeline.reconcile()


def test_no_position_comes_back_alone(forgetful: tuple[RedisServer, str]) -> None:
    """Each as it moves where nothing else is written: by a tick, by alerts that nobody wants."""
    server, url = forgetful
    moved = Position(offset=1, vector=(0, 0, 1))
    with redis.Redis.from_url(url) as client:
        store = PartitionStore(client, "p", 0, "rating", Patience(2.0))
        store.open()
        store.commit(moved, Changes())
        claims = Claims(client, "p", DAY, 100)
        claims.begin(0, (0, 0, 0))
        claims.claim(0, 0, 5, 0, [])
        claims.acknowledge(0, (0, 0, 5), DAY)
        deliveries = DeliveryStore(client, "p", Patience(2.0))
        deliveries.take(0, None, moved, {}, 0)
    server.kill()
    server.start()
    with redis.Redis.from_url(url) as client:
        assert PartitionStore(client, "p", 0, "rating", Patience(2.0)).open() is None
        assert Claims(client, "p", DAY, 100).held(0) == Held(0, (0, 0, 0), 0)
        assert DeliveryStore(client, "p", Patience(2.0)).position(0) is None


def send(pipeline: Pipeline) -> None:
    """Usage of the same keys each time that it is called: a second time, nothing new."""
    with Producer(pipeline.settings.kafka, topic_prefix=pipeline.settings.topic_prefix) as producer:
        for event in usage("same", ACCOUNTS):
            producer.send(event)


def idle(pipeline: Pipeline) -> None:
    """Let positions move where no row changes."""
    until = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < until:
        pipeline.poll()
        time.sleep(0.1)
