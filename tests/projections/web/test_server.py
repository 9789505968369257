"""What every HTTP service bounds, by real sockets: heads, bodies, requests and connections."""

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from projections.web import protocol
from projections.web.answers import HANDLERS
from projections.web.body import read_whole
from projections.web.middleware import Bounded, Timed
from projections.web.problem import CONTENT_TYPE
from projections.web.protocol import Untaken, stands_still
from tests.projections.delivery.processes import until
from tests.projections.web.problems import problem
from tests.projections.web.serving import served

MOST_REQUESTS: Final = 2
MOST_BYTES: Final = 1_000
MOST_IN_ALL: Final = 1_500
_PATIENCE: Final = 60.0


def get(url: str) -> httpx.Response:
    """An answer, on a connection of its own."""
    return httpx.get(url, timeout=_PATIENCE)


def post(url: str, count: int) -> httpx.Response:
    """An answer to a body of `count` bytes."""
    return httpx.post(url, content=b"x" * count, timeout=_PATIENCE)


class Service:
    """Reads bodies, waits to be let go, has a bug; counts what it is told to count."""

    def __init__(self) -> None:
        self.waiting = threading.Semaphore(0)
        self.released = threading.Event()
        self.counted: list[tuple[str, int]] = []

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/body", self._body, methods=["POST"]),
                Route("/hasty", self._hasty, methods=["POST"]),
                Route("/wait", self._wait),
                Route("/bug", self._bug, methods=["GET", "POST"]),
                Route("/large", self._large),
                Route("/healthz", self._health),
            ],
            middleware=[
                Middleware(Timed, count=self._count),
                Middleware(Bounded, most=MOST_REQUESTS, most_bytes=MOST_IN_ALL),
            ],
            exception_handlers=HANDLERS,
        )

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.counted.append((scope["path"], int(status)))

    async def _body(self, request: Request) -> Response:
        return PlainTextResponse(str(len(await read_whole(request, MOST_BYTES, _PATIENCE))))

    async def _hasty(self, request: Request) -> Response:
        return PlainTextResponse(str(len(await read_whole(request, MOST_BYTES, 0.5))))

    def _wait(self, _request: Request) -> Response:
        self.waiting.release()
        self.released.wait()
        return PlainTextResponse("done")

    async def _bug(self, request: Request) -> Response:
        await read_whole(request, MOST_BYTES)
        raise ValueError("its text is nobody's business")

    async def _large(self, _request: Request) -> Response:
        return PlainTextResponse(b"x" * 50_000_000)

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse("well")


@pytest.fixture
def service() -> Service:
    """What is served."""
    return Service()


@pytest.fixture
def port(service: Service) -> Iterator[int]:
    """Where it is served."""
    with served(service.app()) as found:
        yield found


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side ends the connection; TimeoutError where it does not."""
    connection.settimeout(_PATIENCE)
    found = b""
    try:
        while piece := connection.recv(65_536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def split(raw: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and problem of an answer."""
    head, _, body = raw.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = dict(re.split(r":\s*", line, maxsplit=1) for line in lines)
    return int(first.split()[1]), headers, json.loads(body)


def test_what_the_framework_refuses_is_a_problem(service: Service, port: int) -> None:
    address = f"http://127.0.0.1:{port}"
    problem(get(f"{address}/nowhere"), 404)
    wrong = get(f"{address}/body")
    problem(wrong, 405)
    assert wrong.headers["allow"] == "POST"
    assert "business" not in problem(get(f"{address}/bug"), 500)["detail"]
    assert service.counted == [("/nowhere", 404), ("/body", 405), ("/bug", 500)]


def test_what_is_no_http_is_a_problem(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        status, headers, told = split(everything(connection))
    assert (status, headers["content-type"], told["status"]) == (400, CONTENT_TYPE, 400)


def test_more_requests_than_are_served_are_told_to_come_later(service: Service, port: int) -> None:
    address = f"http://127.0.0.1:{port}"
    found: list[int] = []

    def wait() -> None:
        found.append(get(f"{address}/wait").status_code)

    threads = [threading.Thread(target=wait) for _ in range(MOST_REQUESTS)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert service.waiting.acquire(timeout=_PATIENCE)
    refused = get(f"{address}/wait")
    assert "under way" in problem(refused, 503)["detail"]
    assert refused.headers["retry-after"] == "1"
    assert get(f"{address}/healthz").status_code == 200, "nobody ends what is busy"
    service.released.set()
    for thread in threads:
        thread.join()
    assert found == [200] * MOST_REQUESTS
    assert get(f"{address}/wait").status_code == 200, "the places are free again"
    assert ("/wait", 503) in service.counted


def test_a_body_that_does_not_come_is_given_up(port: int) -> None:
    head = b"POST /hasty HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + b"half")
        status, headers, told = split(everything(connection))
    assert (status, headers["content-type"]) == (408, CONTENT_TYPE)
    assert "did not come" in told["detail"]
    assert headers["connection"] == "close"
    assert post(f"http://127.0.0.1:{port}/body", 10).text == "10"


def test_a_body_that_is_too_large_is_refused(port: int) -> None:
    answer = post(f"http://127.0.0.1:{port}/body", MOST_BYTES + 1)
    assert str(MOST_BYTES) in problem(answer, 413)["detail"]


def start_body(port: int, path: str, count: int) -> socket.socket:
    """A connection with a request of which `count` bytes of the body have been sent."""
    connection = socket.create_connection(("127.0.0.1", port), _PATIENCE)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {MOST_BYTES}\r\n\r\n"
    connection.sendall(head.encode() + b"x" * count)
    return connection


def hang_up(port: int, path: str) -> None:
    """Reset a connection in the midst of a body."""
    with start_body(port, path, MOST_BYTES - 1) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_whatever_becomes_of_a_request_its_body_is_held_no_longer(port: int) -> None:
    """Answered, too large, given up, met by a bug, hung up on: then there is room for another."""
    address = f"http://127.0.0.1:{port}"

    def status(path: str, count: int) -> int:
        return post(address + path, count).status_code

    def given_up() -> int:
        with start_body(port, "/hasty", MOST_BYTES - 1) as connection:
            return split(everything(connection))[0]

    assert MOST_BYTES < MOST_IN_ALL < 2 * (MOST_BYTES - 1)
    assert status("/body", MOST_BYTES) == 200
    assert status("/body", MOST_BYTES) == 200
    assert status("/body", MOST_BYTES + 1) == 413
    assert status("/body", MOST_BYTES) == 200
    assert status("/bug", MOST_BYTES) == 500
    assert status("/body", MOST_BYTES) == 200
    assert given_up() == 408
    assert status("/body", MOST_BYTES) == 200
    hang_up(port, "/bug")
    until(lambda: status("/body", MOST_BYTES) == 200, "room for a body")


def test_a_head_that_is_too_large_is_refused(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-y: " + b"y" * 70_000)
        status, headers, told = split(everything(connection))
    assert (status, headers["content-type"]) == (431, CONTENT_TYPE)
    assert "65536" in told["detail"]


def test_who_does_not_read_the_answer_shuts_nobody_out(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection would go on after it, or end with it."""
    looked, dropped = threading.Event(), threading.Semaphore(0)

    def judge(before: Untaken | None, now: Untaken) -> bool:
        still = looked.is_set() and stands_still(before, now)
        if still:
            dropped.release()
        return still

    monkeypatch.setattr(protocol, "TAKE_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "stands_still", judge)
    asked = [
        f"GET /large HTTP/1.1\r\nhost: x\r\nconnection: {each}\r\n\r\n".encode()
        for each in ("keep-alive", "close")
    ]
    with served(service.app(), len(asked) + 1) as port, ExitStack() as stack:
        address = f"http://127.0.0.1:{port}"
        made = []
        for request in asked:
            made.append(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
            made[-1].sendall(request)
            assert made[-1].recv(12) == b"HTTP/1.1 200"
        assert get(f"{address}/healthz").status_code == 503, "they take every place"
        looked.set()
        for _ in made:
            assert dropped.acquire(timeout=_PATIENCE), "it is waited for"
        until(lambda: get(f"{address}/healthz").status_code == 200, "a place")
        for each in made:
            assert len(everything(each)) < 50_000_000


@pytest.mark.parametrize(
    ("before", "now", "still"),
    [
        (None, Untaken("a", 500_000), False),
        (Untaken("a", 500_000), Untaken("a", 500_000), True),
        (Untaken("a", 500_000), Untaken("a", 434_465), True),
        (Untaken("a", 500_000), Untaken("a", 434_464), False),
        (Untaken("a", 500_000), Untaken("a", 0), False),
        (Untaken("a", 10), Untaken("a", 9), True),
        (Untaken("a", 10), Untaken("a", 0), False),
        (Untaken("a", 10), Untaken("b", 10), False),
    ],
)
def test_who_takes_next_to_nothing_stands_still(
    before: Untaken | None, now: Untaken, *, still: bool
) -> None:
    assert stands_still(before, now) is still


def drip(connection: socket.socket) -> None:
    """A byte of a head now and then, until nobody takes it any more."""
    try:
        while True:
            connection.sendall(b"x")
            time.sleep(0.2)
    except OSError:
        return


def hear(connection: socket.socket, end: bytes) -> None:
    """Read until that has come."""
    connection.settimeout(_PATIENCE)
    found = b""
    while not found.endswith(end):
        found += connection.recv(65_536)


@pytest.mark.slow
def test_connections_without_a_head_shut_nobody_out_for_long(service: Service) -> None:
    """Silent ones, half a head, one byte after another, blank lines; the same after an answer."""
    whole = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    beginnings = (b"", whole[:9], whole[:-2], b"\r\n", *(whole + whole[:n] for n in (9, 33)))
    beginnings += (whole + b"\r\n",)
    most = len(beginnings) + 1
    with served(service.app(), most) as port, ExitStack() as stack:
        made = []
        for beginning in beginnings:
            made.append(stack.enter_context(socket.create_connection(("127.0.0.1", port))))
            made[-1].sendall(beginning)
            if beginning.startswith(whole):
                hear(made[-1], b"well")
        threading.Thread(target=drip, args=(made[1],), daemon=True).start()
        address = f"http://127.0.0.1:{port}/healthz"
        assert get(address).status_code == 503, "they take every place that there is"
        for each in made:
            assert everything(each) == b""
        assert get(address).status_code == 200
