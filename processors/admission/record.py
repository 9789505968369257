"""A raw record as admission works on it: what the log says of one message."""

import msgspec

from processors.admission.envelope import Headers


class RawRecord(msgspec.Struct, gc=False):
    """One record of a known topic and partition.

    `received_at` is when the log got it, in microseconds, or BAD_TIMESTAMP.
    """

    offset: int
    received_at: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None
