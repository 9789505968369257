"""The file of keys: read again when it changes, so that a revoked key is out within a second."""

import ipaddress
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from projections.files import OWNER_ONLY, Watched, locked, replace_file
from projections.web.keys import Keys
from schemas.errors import ConfigurationError, faults_of


class KeyRing:
    """The keys of a file. Raises ConfigurationError when it is opened and cannot be read.

    A file that becomes unreadable later changes nothing: the keys that were known stay.
    """

    def __init__(self, path: Path) -> None:
        self._file = Watched(path, load_keys)

    @property
    def keys(self) -> Keys:
        """Those in force."""
        return self._file.content

    @property
    def fault(self) -> str | None:
        """Why the file's present content is not in force."""
        return self._file.fault


def open_keys(service: str, host: str, path: Path | None) -> KeyRing | None:
    """The keys of the file; None without one, which is for loopback only.

    Raises ConfigurationError for any other host without keys, and for a file that cannot be read.
    """
    if path is not None:
        return KeyRing(path)
    if not _is_loopback(host):
        message = (
            f"without gateway_keys the {service} takes what anybody sends: it listens on loopback"
            f" only, not on {host}"
        )
        raise ConfigurationError(message)
    return None


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


def known_keys(path: Path) -> Keys:
    """The keys of a file; none where there is no file yet. Raises ConfigurationError."""
    return load_keys(path) if path.exists() else Keys()


def change_keys(path: Path, change: Callable[[Keys], Keys]) -> None:
    """Put what `change` makes of the keys in their place; nobody else changes them meanwhile.

    Raises ConfigurationError, and what `change` raises: then they stay.
    """
    with locked(path):
        save_keys(path, change(known_keys(path)))


def save_keys(path: Path, keys: Keys) -> None:
    """Put `keys` in the place of the file, at once, readable by its owner only."""
    replace_file(path, keys.model_dump_json(indent=2, exclude_defaults=True).encode(), OWNER_ONLY)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
