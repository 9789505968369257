"""What the gateway and the API acknowledge."""

from typing import Any

import confluent_kafka
import pytest

from deploy.servers.process import free_port
from ingest.gateway.sender import Sender
from projections.api.sending import CONFIGURATION, MOST_PENDING
from projections.confirming import ConfirmingProducer


def test_a_record_is_acknowledged_by_every_replica_in_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen in what the client is told: a topic of one replica confirms the same either way."""
    told: list[dict[str, Any]] = []
    real = confluent_kafka.Producer

    def producer(configuration: dict[str, Any], **more: Any) -> confluent_kafka.Producer:
        told.append(configuration)
        return real(configuration, **more)

    monkeypatch.setattr(confluent_kafka, "Producer", producer)
    nobody = f"127.0.0.1:{free_port()}"
    for sender in (ConfirmingProducer(nobody, MOST_PENDING, CONFIGURATION), Sender(nobody)):
        sender.close()
    assert [each["acks"] for each in told] == ["all", "all"]
