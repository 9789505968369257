"""A worker that ends by an error counts it in Redis, and ends whatever Redis does."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Final

import pytest
import redis

from deploy.acl.lists import redis_rules
from projections import ends
from projections.access import RedisAccess
from projections.fold.connection import redis_client
from schemas.errors import ClaimsBehind, ConfigurationError, Fenced

PATIENCE_SECONDS: Final = 120.0
_ENDING: Final = """
import threading
from projections import ends, health
from schemas import errors
if {patient}:
    ends.TELL_SECONDS = ends._ANSWER_SECONDS = 60.0
ends.count_as("rating", "{url}", "{key}")
def end():
    health.end(errors.{error}("on purpose"))
threads = [threading.Thread(target=end) for _ in range({threads})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def ended(
    url: str, key: str, error: str = "Fenced", threads: int = 1, *, patient: bool = True
) -> int:
    """What a process that ends by `error` ends with. A patient one tells it on a busy machine."""
    script = _ENDING.format(url=url, key=key, error=error, threads=threads, patient=patient)
    ran = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, timeout=PATIENCE_SECONDS
    )
    assert b"ending: " in ran.stderr, ran.stderr
    return ran.returncode


def told(url: str, prefix: str) -> ends.Ends:
    with redis_client(url) as client:
        return ends.read(client, prefix)


def test_what_was_told_and_is_lost_is_not_told_again() -> None:
    one, other = ("rating", "fenced"), ("balances", "log")
    assert ends.grown({}, {one: 2}) == {one: 2}
    assert ends.grown({one: 2}, {one: 3, other: 1}) == {one: 1, other: 1}
    assert ends.grown({one: 2, other: 1}, {one: 1}) == {}


@pytest.mark.integration
def test_ends_are_counted_by_worker_and_reason(redis_url: str, topic_prefix: str) -> None:
    key = ends.of_workers(topic_prefix)
    assert ended(redis_url, key) == Fenced.exit_code
    assert ended(redis_url, key) == Fenced.exit_code
    assert (
        ended(redis_url, ends.of_webhooks(topic_prefix), "ClaimsBehind") == ClaimsBehind.exit_code
    )
    expected = {("rating", "fenced"): 2, ("rating", "claims_behind"): 1}
    assert told(redis_url, topic_prefix) == expected


@pytest.mark.integration
def test_a_process_that_two_threads_end_has_ended_once(redis_url: str, topic_prefix: str) -> None:
    code = ended(redis_url, ends.of_workers(topic_prefix), "ClaimsBehind", threads=2)
    assert code == ClaimsBehind.exit_code
    assert told(redis_url, topic_prefix) == {("rating", "claims_behind"): 1}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An end is told also on a busy machine."""
    for limit in ("TELL_SECONDS", "_ANSWER_SECONDS"):
        monkeypatch.setattr(ends, limit, 60.0)


@pytest.mark.integration
@pytest.mark.usefixtures("patient")
def test_what_is_raised_is_counted_too(redis_url: str, topic_prefix: str) -> None:
    ends.count_as("rating", redis_url, ends.of_workers(topic_prefix))
    with pytest.raises(ConfigurationError), ends.told():
        raise ConfigurationError("on purpose")
    assert told(redis_url, topic_prefix) == {("rating", "configuration"): 1}


@pytest.fixture(params=[b"", b"x"], ids=["says nothing", "says something without an end"])
def hung(request: pytest.FixtureRequest) -> Iterator[str]:
    """A Redis that takes the connection; the second kind defeats every timeout of a socket."""
    stop = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while not stop.wait(0.05):
                try:
                    connection.sendall(request.param)
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        stop.set()
        thread.join()


def test_a_hung_redis_does_not_keep_a_fenced_process_alive(hung: str) -> None:
    assert ended(hung, "t:{0}:ends", patient=False) == Fenced.exit_code


def test_a_redis_that_is_gone_does_not_either() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
    assert ended(url, "t:{0}:ends", patient=False) == Fenced.exit_code


@pytest.mark.integration
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("role", ["worker", "webhooks"])
def test_the_shipped_roles_may_write_and_read_it(
    redis_url: str, topic_prefix: str, role: str
) -> None:
    """As users that may do nothing else."""
    key = {"worker": ends.of_workers, "webhooks": ends.of_webhooks}[role](topic_prefix)
    users = {f"{topic_prefix}w": role, f"{topic_prefix}r": "exporter"}
    with redis.Redis.from_url(redis_url) as admin:
        try:
            for user, of in users.items():
                rules = redis_rules(of, topic_prefix)
                admin.execute_command("ACL", "SETUSER", user, "on", ">pass", *rules)
            writing, reading = (RedisAccess(redis_url, None, user, "pass") for user in users)
            ends.count_as("rating", writing, key)
            ends.tell(Fenced("on purpose"))
            with redis_client(reading) as client:
                assert ends.read(client, topic_prefix) == {("rating", "fenced"): 1}
        finally:
            admin.execute_command("ACL", "DELUSER", *users)
