"""Commands into the log of credits, confirmed."""

from collections.abc import Sequence
from typing import Final

from deploy.settings import Settings
from ingest import Producer
from schemas.documents import Backfill, Replay

_PATIENCE_SECONDS: Final = 60.0


def send(commands: Sequence[Backfill | Replay], settings: Settings) -> None:
    """Send the commands in their order, and wait until all are confirmed.

    Raises LogUnavailable or DeliveryError.
    """
    if not commands:
        return
    kafka, patience = settings.kafka_access, _PATIENCE_SECONDS
    with Producer(kafka, settings.topic_prefix, patience_seconds=patience) as producer:
        producer.connect()
        for command in commands:
            producer.send_document(command)
        producer.flush()
