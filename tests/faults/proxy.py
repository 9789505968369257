"""A TCP proxy on loopback that does what bad networks and hung servers do.

It forwards what comes, until it is told to `hold` a direction (a server that hangs: connections are
accepted, not a byte passes), to `silence` what is connected (a connection that nobody has closed
and nobody answers; new ones are fine), or to `cut` it. A `trap` holds from the first bytes on that
contain a pattern, so that a fault falls between a certain request and its effect.

Nothing is ever thrown away from the middle of a connection: what is held is passed on at `release`,
in order, or goes down with its connection.
"""

import socket
import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self

from deploy.servers.process import LOOPBACK

_CHUNK: Final = 65_536
_LONGEST_PATTERN: Final = 256
_CONNECT_SECONDS: Final = 5.0


class Direction(Enum):
    """Which way bytes go: from client to server, or back."""

    REQUESTS = "requests"
    REPLIES = "replies"


BOTH: Final = tuple(Direction)


@dataclass(eq=False)
class _Link:
    """A client's connection and the one that was opened for it to the server."""

    client: socket.socket
    server: socket.socket
    silent: bool = False
    open: bool = True

    def close(self) -> None:
        """Both ends see the connection end; pumps that block in it go on."""
        self.open = False
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it was gone already


@dataclass
class Trap:
    """Waits for bytes that contain `pattern`; `sprung` is set once they are held."""

    direction: Direction
    pattern: bytes
    sprung: threading.Event = field(default_factory=threading.Event)

    def matches(self, direction: Direction, tail: bytes, data: bytes) -> bool:
        """Does the pattern end in `data`, which follows `tail`?"""
        before = tail[max(0, len(tail) - len(self.pattern) + 1) :]
        return direction is self.direction and self.pattern in before + data


class Proxy:
    """Listens on `port` and forwards to `target`, both on loopback. A context manager.

    The server sees connections from `source`, an address of loopback.
    """

    def __init__(self, target: int, port: int = 0, source: str = LOOPBACK) -> None:
        self._target, self._source = target, source
        self._listener = socket.create_server((LOOPBACK, port))
        self.port: int = self._listener.getsockname()[1]
        self._changed = threading.Condition()
        self._links: set[_Link] = set()
        self._held: set[Direction] = set()
        self._bytes_held = dict.fromkeys(Direction, 0)
        self._traps: list[Trap] = []
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def hold(self, *directions: Direction) -> None:
        """Keep every byte of these directions (none named: of both), of new connections too."""
        with self._changed:
            self._held.update(directions or BOTH)

    def silence(self) -> None:
        """Not a byte more of what is connected now passes, nor is it closed. New ones work."""
        with self._changed:
            for link in self._links:
                link.silent = True

    def trap(self, direction: Direction, pattern: bytes) -> Trap:
        """Hold `direction` from the first bytes on that contain `pattern`."""
        trap = Trap(direction, pattern)
        with self._changed:
            self._traps.append(trap)
        return trap

    def wait_held(self, direction: Direction, seconds: float) -> bool:
        """Wait until something of `direction` is held: of replies, what the server has done."""
        with self._changed:
            return self._changed.wait_for(lambda: self._bytes_held[direction] > 0, seconds)

    def release(self) -> None:
        """Pass on what is held or silent, and everything after it; traps are taken away."""
        with self._changed:
            self._held.clear()
            self._traps.clear()
            for link in self._links:
                link.silent = False
            self._changed.notify_all()

    def cut(self) -> None:
        """Close every connection; what is held in them is lost. Holds stay as they are."""
        with self._changed:
            for link in self._links:
                link.close()
            self._changed.notify_all()

    def close(self) -> None:
        """Listen no longer, and cut what is connected."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        finally:
            self._listener.close()
            self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(
                    (LOOPBACK, self._target), _CONNECT_SECONDS, (self._source, 0)
                )
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            link = _Link(client, server)
            with self._changed:
                self._links.add(link)
            ends = {Direction.REQUESTS: (client, server), Direction.REPLIES: (server, client)}
            for direction, (source, sink) in ends.items():
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(
                    target=self._pump, args=(link, direction, source, sink), daemon=True
                ).start()

    def _pump(
        self, link: _Link, direction: Direction, source: socket.socket, sink: socket.socket
    ) -> None:
        tail = b""
        try:
            while data := source.recv(_CHUNK):
                if not self._may_pass(link, direction, tail, data):
                    break
                tail = data[-_LONGEST_PATTERN:]
                sink.sendall(data)
        except OSError:
            pass  # an end was closed: the other is, too
        finally:
            self._let_go(link, source)

    def _may_pass(self, link: _Link, direction: Direction, tail: bytes, data: bytes) -> bool:
        """Wait while `data` is held; whether its connection lives on."""
        with self._changed:
            for trap in self._traps:
                if trap.matches(direction, tail, data):
                    self._held.add(direction)
                    trap.sprung.set()
            if self._passes(link, direction):
                return link.open
            self._bytes_held[direction] += len(data)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._passes(link, direction))
            self._bytes_held[direction] -= len(data)
            return link.open

    def _passes(self, link: _Link, direction: Direction) -> bool:
        return not link.open or not (link.silent or direction in self._held)

    def _let_go(self, link: _Link, source: socket.socket) -> None:
        with self._changed:
            link.close()
            self._links.discard(link)
            self._changed.notify_all()
        source.close()
