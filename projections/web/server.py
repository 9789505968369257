"""The process of an HTTP service: uvicorn around the application, until SIGTERM or Ctrl-C."""

import ipaddress
import signal
from pathlib import Path
from typing import Any, Final

import uvicorn

from projections.confirming import ANSWER_SECONDS
from projections.web.keyring import KeyRing
from schemas.errors import ConfigurationError

_IDLE_SECONDS: Final = 30


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


def serve(app: Any, host: str, port: int, most_connections: int) -> None:  # noqa: ANN401 - any ASGI application
    """Serve until stopped; what is under way is answered first."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=most_connections,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=int(ANSWER_SECONDS) + 1,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises again in the end what it caught
    uvicorn.Server(config).run()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
