"""A raw record as the log hands it out: what admission's pure part may know of a Kafka message."""

from typing import Protocol

from processors.admission.envelope import Headers


class RawRecord(Protocol):
    """One record; `confluent_kafka.Message` is one."""

    def offset(self) -> int | None:
        """Its offset in its topic and partition."""

    def key(self) -> bytes | None:
        """The key it was sent with."""

    def value(self) -> bytes | None:
        """Its bytes."""

    def headers(self) -> Headers | None:
        """Its headers in order, None when there are none."""
