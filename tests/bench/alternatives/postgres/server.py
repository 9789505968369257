"""A PostgreSQL server on a folder of its own, durable, reached by a socket in that folder."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from deploy.servers.process import ServerProcess

_FOLDERS: Final = Path("/usr/lib/postgresql")
_USERS: Final = ("postgres", "nobody")
USER: Final = "bench"
_CLUSTER: Final = (f"--username={USER}", "--auth=trust", "--encoding=UTF8", "--locale=C")
_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "20",
    # Durable: a commit has reached the disk when it answers. Said here although it is the default.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_buffers": "64MB",
    "wal_compression": "lz4",
    # Each checkpoint makes every page be written whole again.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "jit": "off",
}


class PostgresServer:
    """PostgreSQL in a temporary folder, which `stop` deletes.

    The folder is not the harness's: PostgreSQL refuses to run as root, and another user may not be
    let into the folders above it; nor may a socket's path be long.
    """

    def __init__(self, log: Path) -> None:
        """Make the folder and the database cluster. Raises CalledProcessError."""
        binary = postgres_binary()
        assert binary is not None
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        data = self.folder / "data"
        prefix = _as_another_user(self.folder)
        subprocess.run(
            [*prefix, str(binary.with_name("initdb")), f"--pgdata={data}", *_CLUSTER],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        options = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        options.append(f"--unix_socket_directories={self.folder}")
        self.process = ServerProcess(
            name="PostgreSQL",
            command=[*prefix, str(binary), "-D", str(data), *options],
            log=log,
            ready=self._answers,
            stop_seconds=60.0,
        )

    @property
    def database(self) -> str:
        """What clients connect by."""
        return f"host={self.folder} user={USER} dbname=postgres"

    def start(self) -> None:
        """Start it. Raises ServerError."""
        self.process.start()

    def stop(self) -> None:
        """End it, and all that it held."""
        self.process.stop()
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.database, connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True


def postgres_binary() -> Path | None:
    """`postgres` of the PATH, or the newest in Debian's folder."""
    on_path = shutil.which("postgres")
    if on_path is not None:
        return Path(on_path).resolve()
    found = _FOLDERS.glob("*/bin/postgres")
    return max(found, key=lambda path: int(path.parts[-3]), default=None)


def other_user() -> str | None:
    """Whom PostgreSQL can run as where this user is root."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _USERS if name in known), None)


def _as_another_user(folder: Path) -> list[str]:
    """The beginning of a command line; the folder is then that user's."""
    if os.geteuid():
        return []
    user = other_user()
    setpriv = shutil.which("setpriv")
    assert user is not None
    assert setpriv is not None
    shutil.chown(folder, user)
    group = str(pwd.getpwnam(user).pw_gid)
    # A change of user clears the leash that ServerProcess puts on: setpriv puts it on again.
    return [setpriv, f"--reuid={user}", f"--regid={group}", "--clear-groups", "--pdeathsig=TERM"]
