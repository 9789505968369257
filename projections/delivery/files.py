"""The file of subscriptions: it holds their secrets, so nobody but its owner may read it."""

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from projections.delivery.subscriptions import Subscriptions
from projections.files import OWNER_ONLY, replace_file
from schemas.errors import ConfigurationError, faults_of

_OTHERS: Final = 0o077


def load_subscriptions(path: Path) -> Subscriptions:
    """The subscriptions of a file. Raises ConfigurationError, which tells no secret."""
    try:
        if path.stat().st_mode & _OTHERS:
            raise ConfigurationError(f"{path} holds secrets and others may read it: chmod 600")
        return Subscriptions.model_validate_json(path.read_bytes())
    except OSError as error:
        message = f"the subscriptions {path} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from error
    except ValidationError as error:
        message = f"the subscriptions {path} are wrong: {faults_of(error)}"
        raise ConfigurationError(message) from None


def save_subscriptions(path: Path, subscriptions: Subscriptions) -> None:
    """Put `subscriptions` in the place of the file, at once, readable by its owner only."""
    content = subscriptions.model_dump_json(indent=2, exclude_defaults=True)
    replace_file(path, content.encode(), OWNER_ONLY)
