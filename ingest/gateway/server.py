"""The gateway's process: uvicorn around the application, until SIGTERM or Ctrl-C."""

import ipaddress
import logging
import signal
from pathlib import Path
from typing import Final, Protocol

import uvicorn

from ingest.gateway.app import Gateway
from ingest.gateway.sender import ANSWER_SECONDS, Sender
from projections.access import Kafka
from projections.web.keyring import KeyRing
from schemas.errors import ConfigurationError

log = logging.getLogger(__name__)
_MOST_CONNECTIONS: Final = 1_000
_IDLE_SECONDS: Final = 30


class GatewaySettings(Protocol):
    """Where to listen, where to send. `gateway_keys` is the file of keys; None: loopback only."""

    topic_prefix: str
    gateway_host: str
    gateway_port: int
    gateway_keys: Path | None

    @property
    def kafka_access(self) -> Kafka: ...  # noqa: D102 - says it all


def run_gateway(settings: GatewaySettings) -> None:
    """Serve until stopped; what is under way is answered first.

    Raises ConfigurationError and LogUnavailable before it serves.
    """
    host, port, path = settings.gateway_host, settings.gateway_port, settings.gateway_keys
    if path is None and not _is_loopback(host):
        message = (
            f"without gateway_keys the gateway takes what anybody sends: it listens on loopback"
            f" only, not on {host}"
        )
        raise ConfigurationError(message)
    keys = None if path is None else KeyRing(path)
    sender = Sender(settings.kafka_access, settings.topic_prefix)
    sender.connect()
    config = uvicorn.Config(
        Gateway(sender, keys).app(),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=int(ANSWER_SECONDS) + 1,
    )
    log.info("taking usage at http://%s:%d/v1/events", host, port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises again in the end what it caught
    uvicorn.Server(config).run()
    sender.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
