"""The file of keys: read again when it changes, so that a revoked key is out within a second."""

from pathlib import Path

from pydantic import ValidationError

from projections.files import OWNER_ONLY, Watched, replace_file
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
