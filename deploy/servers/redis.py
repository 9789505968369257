"""Redis, or Valkey: the same server by two names, with the same command line.

Never evicts (`noeviction`, architecture.md section 3 rule 3). With `persistent` it appends to a
file that is flushed each second, so a killed machine loses the last second of rows *and* position
together.
"""

import shutil
from pathlib import Path
from typing import Self

from deploy.servers.process import LOOPBACK, ServerProcess, answers, free_port
from schemas.errors import ConfigurationError


class RedisServer:
    """A Redis on a loopback port; the port and the `folder` stay the same over restarts."""

    def __init__(
        self,
        binary: str,
        folder: Path,
        *,
        log: Path,
        persistent: bool = False,
        port: int | None = None,
    ) -> None:
        self.port = free_port() if port is None else port
        self.folder = folder
        self.process = ServerProcess(
            name=Path(binary).name,
            command=_command(binary, self.port, folder, persistent=persistent),
            log=log,
            ready=lambda: answers(self.port, b"PING\r\n", b"+PONG"),
        )

    @property
    def address(self) -> str:
        """The URL that clients take."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Start it, or start it again on what it kept. Raises ServerError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process.start()

    def stop(self) -> None:
        """End it; a persistent one writes what it has first."""
        self.process.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def redis_binary() -> str | None:
    """The path of an installed redis-server, or None."""
    return shutil.which("redis-server")


def installed_redis(folder: Path, *, log: Path, persistent: bool = False) -> RedisServer:
    """The redis-server of this machine. Raises ConfigurationError when there is none."""
    binary = redis_binary()
    if binary is None:
        raise ConfigurationError("redis-server is not installed (Debian: apt install redis-server)")
    return RedisServer(binary, folder, log=log, persistent=persistent)


def _command(binary: str, port: int, folder: Path, *, persistent: bool) -> list[str]:
    options = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(folder),
        "save": "",
        "maxmemory-policy": "noeviction",
        "appendonly": "yes" if persistent else "no",
        "appendfsync": "everysec",
        "daemonize": "no",
    }
    return [binary, *(part for name, value in options.items() for part in (f"--{name}", value))]
