"""What faces outwards, gateway, API and webhooks: can it run with these settings?

Asked by `drawdown up` before it starts anything, for what cannot would be started again and again.
"""

from collections.abc import Collection
from pathlib import Path

from deploy.settings import Settings
from deploy.webhooks.dispatcher import file_of
from projections.delivery.files import load_subscriptions, save_subscriptions
from projections.delivery.subscriptions import Subscriptions
from projections.files import locked
from projections.web.keyring import open_keys


def prepare(doors: Collection[str], settings: Settings) -> list[str]:
    """Make the file of subscriptions that is named and not there; gives what was made.

    Raises ConfigurationError for an address beyond loopback without keys, for a file of keys or of
    subscriptions that cannot be used, and for webhooks without a setting that names one.
    """
    if "gateway" in doors:
        open_keys("gateway", settings.gateway_host, settings.gateway_keys)
    if "api" in doors:
        open_keys("API", settings.api_host, settings.gateway_keys)
    if "webhooks" in doors:
        return _with_file(file_of(settings))
    return []


def _with_file(path: Path) -> list[str]:
    if not path.exists():
        with locked(path):
            # `drawdown subscriptions add` needs the Redis that is about to start.
            if not path.exists():
                save_subscriptions(path, Subscriptions())
                return [f"made {path}, without subscriptions"]
    load_subscriptions(path)
    return []
