"""What a fetch brings is taken whole, whatever stands among it."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError

from processors.admission.buffer import Buffer
from processors.admission.group import Group
from processors.admission.settings import AdmissionSettings
from processors.admission.worker import AdmissionWorker
from schemas.errors import LogUnavailable


@dataclass
class Message:
    """A message as the client gives it: a record, or an error."""

    at: int
    failure: KafkaError | None = None

    def error(self) -> KafkaError | None:
        """The error."""
        return self.failure

    def topic(self) -> str:
        """The topic."""
        return "metering.usage.v1"

    def partition(self) -> int:
        """The partition."""
        return 0

    def offset(self) -> int:
        """The offset."""
        return self.at

    def timestamp(self) -> tuple[int, int]:
        """When the log got it."""
        return TIMESTAMP_LOG_APPEND_TIME, self.at

    def key(self) -> None:
        """No key."""

    def value(self) -> bytes:
        """The value."""
        return b"{}"

    def headers(self) -> None:
        """No headers."""


def test_records_behind_a_passing_error_are_not_lost() -> None:
    """The client gives them once: dropped here, they would be a hole that no reader can see."""
    worker = AdmissionWorker(AdmissionSettings("kafka", "redis://redis"))
    usage = Buffer(0)
    owned = {0: SimpleNamespace(usage=usage)}
    worker._group = cast("Group", SimpleNamespace(owned=owned, limit=lambda _: None))
    passing = KafkaError(KafkaError.LEADER_NOT_AVAILABLE)
    messages: list[Any] = [Message(0), Message(-1, passing), Message(1)]
    with pytest.raises(LogUnavailable):
        worker._intake(messages)
    assert (len(usage), usage.read_to) == (2, 2)
