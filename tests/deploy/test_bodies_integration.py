"""What bodies come to in all, in the processes that take them."""

import gzip
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx
import pytest

from deploy.provision import create_topics
from deploy.servers.find import Servers
from deploy.servers.process import free_port
from tests.ingest.gateway.process import gateway
from tests.projections.api.process import api, environment
from tests.projections.delivery.processes import until
from tests.projections.web.problems import problem

pytestmark = pytest.mark.integration

MOST_BYTES: Final = {"gateway": 8_000_000, "api": 1_000_000}
"""Of one body; here of all of them, too."""
_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Door:
    """A process that takes bodies: where, and as many bytes of them as of one."""

    port: int
    path: str
    most: int

    def post(self, body: bytes, **headers: str) -> httpx.Response:
        """The answer to that body, JSON or not."""
        told = {"content-type": "application/json"} | headers
        url = f"http://127.0.0.1:{self.port}{self.path}"
        return httpx.post(url, content=body, headers=told, timeout=_PATIENCE)

    @contextmanager
    def holding(self, count: int) -> Iterator[socket.socket]:
        """Somebody who sends `count` bytes of a body, and then no more."""
        with socket.create_connection(("127.0.0.1", self.port), _PATIENCE) as connection:
            head = f"POST {self.path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            connection.sendall(f"{head}content-length: {self.most}\r\n\r\n".encode())
            connection.sendall(b" " * count)
            yield connection


@pytest.fixture(params=list(MOST_BYTES))
def door(request: pytest.FixtureRequest, servers: Servers, topic_prefix: str) -> Iterator[Door]:
    """Each process with room for one body."""
    create_topics(servers.kafka, topic_prefix, 2, 1)
    name, port = request.param, free_port()
    most = MOST_BYTES[name]
    given = {f"DRAWDOWN_{name.upper()}_BODY_BYTES": str(most)}
    if name == "gateway":
        with gateway(servers.kafka, topic_prefix, port=port, given=given):
            yield Door(port, "/v1/events", most)
    else:
        given |= environment(servers.kafka, servers.redis_url, topic_prefix)
        with api(given, port=port):
            yield Door(port, "/v1/documents", most)


def test_bodies_beyond_what_is_held_in_all_are_told_to_come_later(door: Door) -> None:
    """And once whoever held so much has gone, there is room again."""
    small = b"[" + b" " * (door.most // 2)  # no JSON: a 400 once it is read
    assert door.post(small).status_code == 400
    with door.holding(door.most // 2):
        until(lambda: door.post(small).status_code == 503, "a body that does not fit any more")
        refused = door.post(small)
        assert str(door.most) in problem(refused, 503)["detail"]
        assert refused.headers["retry-after"] == "1"
        assert door.post(b"[").status_code == 400, "a small one still fits"
    until(lambda: door.post(small).status_code == 400, "room again")


@pytest.mark.parametrize("door", ["gateway"], indirect=True)
def test_a_body_counts_as_what_it_unpacks_to(door: Door) -> None:
    packed = gzip.compress(b"[" + b" " * (door.most // 2))
    ask: Callable[[], int] = lambda: door.post(packed, **{"content-encoding": "gzip"}).status_code  # noqa: E731
    assert ask() == 400
    with door.holding(door.most // 2):
        until(lambda: ask() == 503, "a body that does not fit any more")
    until(lambda: ask() == 400, "room again")
