"""The Kafka and the Redis that integration tests run on; never a fake, and never a skip.

`DRAWDOWN_KAFKA` and `DRAWDOWN_REDIS_URL`, both set, are used as they are. Otherwise
`DRAWDOWN_TEST_SERVERS` chooses: `embedded` (the default), `apache` (Apache Kafka and redis-server),
or `auto`: containers where a Docker engine answers, then Apache, then embedded. A server that is
chosen and missing fails the tests. Those marked `apache` are left out of runs on anything else.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from deploy.servers.find import Kind, Servers, addressed_servers, best_kind, open_servers

# A test says what is right, never how quick: machines are busy.
hypothesis.settings.register_profile("drawdown", deadline=None)
hypothesis.settings.load_profile("drawdown")

_CHOICES = ("embedded", "apache", "auto")
_POOLS: Final = ("documents_",)
"""Threads that a process keeps once it has them."""
_END_SECONDS: Final = 30.0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only Apache Kafka can do, unless it was chosen."""
    if _choice() == "apache":
        return
    left_out = [item for item in items if item.get_closest_marker("apache")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test leaves no thread, and logging as it was: tests run in any order in one process.

    What integration tests share lives on, and starts threads of its own when it is used.
    """
    threads, disabled = set(threading.enumerate()), logging.root.manager.disable
    yield
    assert logging.root.manager.disable == disabled
    if request.node.get_closest_marker("integration") is not None:
        return
    give_up = time.monotonic() + _END_SECONDS
    while left := _threads_but(threads):
        assert time.monotonic() < give_up, f"threads are left: {', '.join(left)}"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """A Kafka and a Redis for the whole run: tests keep apart by `topic_prefix`."""
    addressed = addressed_servers()
    choice = _choice()
    if addressed is not None:
        yield addressed
        return
    if choice == "auto":
        from tests.containers import containers, docker_answers

        if docker_answers():
            with containers() as running:
                yield running
            return
    with open_servers("apache" if _is_apache(choice) else "embedded") as running:
        yield running


@pytest.fixture(scope="session")
def kafka(servers: Servers) -> str:
    """Kafka's address."""
    return servers.kafka


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    """Redis's address."""
    return servers.redis_url


@pytest.fixture
def own_servers(servers: Servers, tmp_path: Path) -> Iterator[Servers]:
    """A Kafka and a Redis of the run's kind for one test, which may stop or kill them."""
    kind: Kind = "apache" if servers.kind == "apache" else "embedded"
    with open_servers(kind, tmp_path / "servers") as own:
        yield own


@pytest.fixture
def topic_prefix() -> str:
    """A prefix of topics and keys that no other test has."""
    return f"t{secrets.token_hex(4)}."


def _threads_but(known: set[threading.Thread]) -> list[str]:
    names = [thread.name for thread in threading.enumerate() if thread not in known]
    return [name for name in names if not name.startswith(_POOLS)]


def _choice() -> str:
    choice = os.environ.get("DRAWDOWN_TEST_SERVERS") or "embedded"
    if choice not in _CHOICES:
        raise pytest.UsageError(f"DRAWDOWN_TEST_SERVERS is one of {', '.join(_CHOICES)}")
    return choice


def _is_apache(choice: str) -> bool:
    return choice == "apache" or (choice == "auto" and best_kind() == "apache")
