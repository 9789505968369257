"""When a record was received: the broker's stamp, checked record by record.

received_at is the broker's LogAppendTime. A broker that keeps the producer's CreateTime is for
trying: there a stamp further ahead of this machine's clock than max_event_lead is refused
(`bad_timestamp`).
"""

import time
from collections.abc import Sequence

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    Message,
)

from processors.admission.examine import BAD_TIMESTAMP
from processors.admission.record import Records, received
from processors.admission.settings import AdmissionSettings, microseconds
from schemas.errors import ConfigurationError


class Stamps:
    """Takes messages out of the client with their time. `now` is to be called now and then."""

    def __init__(self, settings: AdmissionSettings) -> None:
        self._lead = microseconds(settings.max_event_lead)
        self._only_append = settings.broker_time == "append"
        self.now()

    def now(self) -> None:
        """Look at the clock again."""
        self._latest = time.time_ns() // 1_000 + self._lead

    def records(self, messages: Sequence[Message]) -> Records:
        """The records that `messages` of one partition are.

        Raises ConfigurationError when the broker should stamp records and does not.
        """
        stamps = [message.timestamp() for message in messages]
        kinds = {kind for kind, _ in stamps}
        received_at = [milliseconds * 1_000 for _, milliseconds in stamps]
        if kinds <= {TIMESTAMP_LOG_APPEND_TIME}:
            return received(messages, received_at)
        if self._only_append:
            raise ConfigurationError(
                f"{messages[0].topic()} does not use LogAppendTime: set its"
                ' message.timestamp.type, or broker_time to "create" for trying'
            )
        known = TIMESTAMP_NOT_AVAILABLE not in kinds and min(received_at) >= 0
        if not known or max(received_at) > self._latest:
            received_at = [self._checked(*stamp) for stamp in stamps]
        return received(messages, received_at)

    def _checked(self, kind: int, milliseconds: int) -> int:
        stamp = milliseconds * 1_000
        if kind == TIMESTAMP_LOG_APPEND_TIME:
            return stamp
        usable = kind != TIMESTAMP_NOT_AVAILABLE and 0 <= stamp <= self._latest
        return stamp if usable else BAD_TIMESTAMP
