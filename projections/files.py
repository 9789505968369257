"""Files that are replaced as a whole, by one at a time, and read again when they were."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Generic, TypeVar

from schemas.errors import ConfigurationError

T = TypeVar("T")
OWNER_ONLY: Final = 0o600
_USUAL: Final = 0o666  # less what the umask takes
_LOOK_SECONDS: Final = 1.0


def replace_file(path: Path, content: bytes, mode: int = _USUAL) -> None:
    """Put `content` in the place of `path`, all of it or nothing of it. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)  # its mode would stay
    with open(fresh, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold it around reading `path`, changing and replacing: others that change it wait.

    Who only reads needs no lock. It is of the file `….lock` beside it, which stays: `path` itself
    is another file after each change. Raises ConfigurationError where that cannot be written.
    """
    try:
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    except OSError as error:
        message = f"{path} cannot be changed: {error.strerror}"
        raise ConfigurationError(message) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


class Watched(Generic[T]):
    """What a file holds, as `load` reads it: looked at again at most once a second.

    Raises ConfigurationError when it is opened and cannot be read. A file that becomes unreadable
    later changes nothing: what it held stays in force, and `fault` says so.
    """

    def __init__(self, path: Path, load: Callable[[Path], T]) -> None:
        self._path, self._load = path, load
        self._seen = _state(path)
        self._content = load(path)
        self._looked = time.monotonic()
        self.fault: str | None = None
        """Why the file's present content is not in force."""

    @property
    def content(self) -> T:
        """What is in force."""
        now = time.monotonic()
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            self._look()
        return self._content

    def _look(self) -> None:
        try:
            seen = _state(self._path)
            if seen != self._seen:
                self._content, self._seen = self._load(self._path), seen
        except ConfigurationError as error:
            self.fault = str(error)
        else:
            self.fault = None


def _state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from error
    return found.st_ino, found.st_mtime_ns, found.st_size
