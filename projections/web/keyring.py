"""The file of keys: read again when it changes, so that a revoked key is out within a second."""

import time
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from projections.files import OWNER_ONLY, replace_file
from projections.web.keys import Keys
from schemas.errors import ConfigurationError, faults_of

_LOOK_SECONDS: Final = 1.0


class KeyRing:
    """The keys of a file. Raises ConfigurationError when it is opened and cannot be read.

    A file that becomes unreadable later changes nothing: the keys that were known stay.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _state(path)
        self._keys = load_keys(path)
        self._looked = time.monotonic()
        self.fault: str | None = None
        """Why the file's present content is not in force."""

    @property
    def keys(self) -> Keys:
        """Those in force."""
        now = time.monotonic()
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            self._look()
        return self._keys

    def _look(self) -> None:
        try:
            seen = _state(self._path)
            if seen != self._seen:
                self._keys, self._seen = load_keys(self._path), seen
        except ConfigurationError as error:
            self.fault = str(error)
        else:
            self.fault = None


def load_keys(path: Path) -> Keys:
    """The keys of a file. Raises ConfigurationError."""
    try:
        return Keys.model_validate_json(path.read_bytes())
    except OSError as error:
        message = f"the keys {path} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from error
    except ValidationError as error:
        message = f"the keys {path} are wrong: {faults_of(error)}"
        raise ConfigurationError(message) from error


def save_keys(path: Path, keys: Keys) -> None:
    """Put `keys` in the place of the file, at once, readable by its owner only."""
    replace_file(path, keys.model_dump_json(indent=2, exclude_defaults=True).encode(), OWNER_ONLY)


def _state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        message = f"the keys {path} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from error
    return found.st_ino, found.st_mtime_ns, found.st_size
