"""When a record was received: the broker's stamp, checked record by record.

received_at is the broker's LogAppendTime. A broker that keeps the producer's CreateTime is for
trying: there a stamp further ahead of this machine's clock than max_event_lead is refused
(`bad_timestamp`).
"""

import time

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    Message,
)

from processors.admission.examine import BAD_TIMESTAMP
from processors.admission.record import RawRecord
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

    def record(self, message: Message) -> RawRecord:
        """The record that a message is.

        Raises ConfigurationError when the broker should stamp records and does not.
        """
        kind, milliseconds = message.timestamp()
        stamp = milliseconds * 1_000
        if kind != TIMESTAMP_LOG_APPEND_TIME:
            if self._only_append:
                raise ConfigurationError(
                    f"{message.topic()} does not use LogAppendTime: set its"
                    ' message.timestamp.type, or broker_time to "create" for trying'
                )
            if kind == TIMESTAMP_NOT_AVAILABLE or not 0 <= stamp <= self._latest:
                stamp = BAD_TIMESTAMP
        return RawRecord(
            message.offset(),  # type: ignore[arg-type]  # None only for what was never in a log
            stamp,
            message.key(),
            message.value(),
            message.headers(),  # type: ignore[arg-type]  # a consumed message's are a list
        )
