"""The proxy holds, silences, cuts and traps, and otherwise passes every byte on in order."""

import socket
import threading
from collections.abc import Iterator

import pytest

from deploy.servers.process import LOOPBACK
from tests.faults.proxy import Direction, Proxy

ALMOST_AT_ONCE = 0.3
"""In which nothing comes: what must come has all patience."""
PATIENCE = 60.0
pytestmark = pytest.mark.integration


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets, on this port."""
    listener = socket.create_server((LOOPBACK, 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65_536):
                connection.sendall(data)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    """A proxy before it."""
    with Proxy(echo) as made:
        yield made


def client(proxy: Proxy) -> socket.socket:
    """A connection through the proxy that has carried a byte."""
    connection = socket.create_connection((LOOPBACK, proxy.port), timeout=PATIENCE)
    assert said(connection, b"?") == b"?"
    return connection


def said(connection: socket.socket, data: bytes, seconds: float = PATIENCE) -> bytes:
    """What comes back; empty when nothing does."""
    connection.sendall(data)
    return heard(connection, len(data), seconds)


def heard(connection: socket.socket, count: int, seconds: float = PATIENCE) -> bytes:
    """At most `count` bytes that arrive within `seconds`."""
    connection.settimeout(seconds)
    found = b""
    try:
        while len(found) < count:
            found += connection.recv(count - len(found)) or b"closed"
    except TimeoutError:
        pass
    return found


def test_every_byte_passes_in_order(proxy: Proxy) -> None:
    sent = bytes(range(256)) * 4_000
    with client(proxy) as connection:
        threading.Thread(target=connection.sendall, args=(sent,)).start()
        assert heard(connection, len(sent)) == sent


@pytest.mark.parametrize("direction", Direction)
def test_what_is_held_passes_at_release(proxy: Proxy, direction: Direction) -> None:
    with client(proxy) as connection:
        proxy.hold(direction)
        assert said(connection, b"one", ALMOST_AT_ONCE) == b""
        assert proxy.wait_held(direction, PATIENCE)
        with socket.create_connection((LOOPBACK, proxy.port)) as later:
            assert said(later, b"two", ALMOST_AT_ONCE) == b""
            proxy.release()
            assert heard(later, 3) == b"two"
        assert heard(connection, 3) == b"one"
        assert not proxy.wait_held(direction, 0)


def test_the_silent_stay_silent_and_the_new_are_served(proxy: Proxy) -> None:
    with client(proxy) as connection:
        proxy.silence()
        assert said(connection, b"one", ALMOST_AT_ONCE) == b""
        with client(proxy) as later:
            assert said(later, b"two") == b"two"


def test_what_is_cut_is_closed_with_what_was_held(proxy: Proxy) -> None:
    with client(proxy) as connection:
        proxy.hold(Direction.REPLIES)
        connection.sendall(b"one")
        assert proxy.wait_held(Direction.REPLIES, PATIENCE)
        proxy.cut()
        assert heard(connection, 3) == b"closed"
    proxy.release()
    with client(proxy) as later:
        assert said(later, b"two") == b"two"


def test_a_trap_springs_at_its_pattern_though_it_comes_in_pieces(proxy: Proxy) -> None:
    with client(proxy) as connection:
        trap = proxy.trap(Direction.REQUESTS, b"alerts")
        assert said(connection, b"ale") == b"ale"
        assert not trap.sprung.is_set()
        assert said(connection, b"rts!", ALMOST_AT_ONCE) == b""
        assert trap.sprung.wait(PATIENCE)
        proxy.release()
        assert heard(connection, 4) == b"rts!"
