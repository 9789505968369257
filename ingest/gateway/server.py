"""The gateway's process."""

import logging
from pathlib import Path
from typing import Final, Protocol

from ingest.gateway.app import STAGE, TAKEN, Gateway
from ingest.gateway.sender import Sender
from projections.access import Kafka
from projections.metrics.errors import count_as
from projections.metrics.series import begin_gateway
from projections.web.access import Access
from projections.web.keyring import open_keys
from projections.web.server import serve

log = logging.getLogger("drawdown")
_MOST_CONNECTIONS: Final = 5_000


class GatewaySettings(Protocol):
    """Where to listen, where to send. `gateway_keys` is the file of keys; None: loopback only.

    `gateway_body_bytes` bounds the bodies of all requests under way.
    """

    topic_prefix: str
    gateway_host: str
    gateway_port: int
    gateway_keys: Path | None
    gateway_body_bytes: int

    @property
    def kafka_access(self) -> Kafka: ...  # noqa: D102 - says it all


def run_gateway(settings: GatewaySettings) -> None:
    """Serve until stopped; what is under way is answered first.

    Raises ConfigurationError and LogUnavailable before it serves.
    """
    host, port = settings.gateway_host, settings.gateway_port
    begin_gateway(STAGE, TAKEN)
    count_as(STAGE)
    keys = open_keys("gateway", host, settings.gateway_keys)
    sender = Sender(settings.kafka_access, settings.topic_prefix)
    sender.connect()
    log.info("taking usage at http://%s:%d/v1/events", host, port)
    gateway = Gateway(sender, Access(keys), settings.gateway_body_bytes)
    serve(gateway.app(), host, port, _MOST_CONNECTIONS)
    sender.close()
