"""A server as a child process: start, wait until it answers, stop; its output goes to a log file.

Guarantees: `start` returns only when the server answers, or raises with the end of its log; `stop`
and `kill` return only when it is gone; a child ends with its parent (see `leash.py`), and has its
own session, so that a Ctrl-C in the parent's terminal reaches the workers first and the servers
only through `stop`.

Start servers from a thread that lives as long as they should: Linux ends them with that thread.
"""

import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas.errors import DrawdownError

LOOPBACK: Final = "127.0.0.1"
_LEASH: Final = str(Path(__file__).with_name("leash.py"))
_POLL_SECONDS: Final = 0.02
_TAIL_BYTES: Final = 2_000
# Below the range from which Linux takes ports for outgoing connections: none can slip in between.
_FIRST_PORT: Final = 20_000
_PORTS: Final = 12_000
_TURNS: Final = itertools.count(secrets.randbelow(_PORTS))
_RESERVED: Final = deque[int]()
_MOST_RESERVED: Final = 500


class ServerError(DrawdownError):
    """A local server did not start; the message holds the end of its log."""

    exit_code = 69


@dataclass
class ServerProcess:
    """One server; `ready` says whether it answers and must not raise.

    `stop_signal` asks it to end, also when the parent dies; after `stop_seconds` it is killed.
    """

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_seconds: float = 30.0
    stop_seconds: float = 5.0
    stop_signal: signal.Signals = signal.SIGTERM
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process is not None else None

    def start(self) -> None:
        """Start it and wait until it answers. Raises ServerError when it ends or stays silent."""
        assert self.pid is None, f"{self.name} runs already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command line is our own
                leashed(self.command, self.stop_signal),
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Ask it to end, then kill it; does nothing when it does not run."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + self.ready_seconds
        while True:
            if self._process.poll() is not None:
                self._fail(f"ended with status {self._process.returncode}")
            if self.ready():
                return
            if time.monotonic() > deadline:
                self._fail(f"did not answer within {self.ready_seconds:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _fail(self, what: str) -> None:
        self.kill()
        raise ServerError(f"{self.name} {what}; {end_of(self.log)}")


def end_of(log: Path) -> str:
    """Where a log is, and the last that it says."""
    tail = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
    return f"its log, {log}, ends:\n{tail}"


def leashed(command: Sequence[str], number: signal.Signals) -> list[str]:
    """`command`, sent signal `number` when the thread that starts it ends (see `leash`)."""
    leash = [sys.executable, "-I", "-S", _LEASH, str(os.getpid()), str(int(number))]
    return [*leash, *command]


def free_port() -> int:
    """A loopback port that nobody listens on just now, and that nobody was given lately.

    What is told a port listens on it a while later, so drawing by chance gave one port to two. On
    Linux that holds for all processes: a port is reserved as long as the one lives that drew it.
    """
    while True:
        port = _FIRST_PORT + next(_TURNS) % _PORTS
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
                _reserve(port)
            except OSError:
                continue
            return port


def _reserve(port: int) -> None:
    """Take a name that only one process can have, until it ends. Raises OSError."""
    if sys.platform != "linux":
        return
    with socket.socket(socket.AF_UNIX) as name:
        name.bind(f"\0drawdown.port.{port}")  # of no file: Linux' abstract namespace
        _RESERVED.append(name.detach())
    if len(_RESERVED) > _MOST_RESERVED:
        os.close(_RESERVED.popleft())


def answers(port: int, request: bytes = b"", expected: bytes = b"") -> bool:
    """Does a server on this loopback port accept a connection, and answer so when asked so?"""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0) as connection:
            if not request:
                return True
            connection.sendall(request)
            return connection.recv(len(expected)) == expected
    except OSError:
        return False
