"""What goes with a record on `rejected` and `unrated`: why, from where, and its bytes.

The headers follow Kafka Connect's dead letter queues (KIP-298), so the tools that read those read
these; `drawdown-reason` is the code of `schemas.reasons`.
"""

from typing import Final

import msgspec

from schemas.times import format_instant

REASON_HEADER: Final = "drawdown-reason"


def rejection_headers(
    topic: str, partition: int, offset: int, reason: str, detail: str
) -> tuple[tuple[str, bytes], ...]:
    """Headers of a refused record that stood at (topic, partition, offset)."""
    return (
        (REASON_HEADER, reason.encode()),
        ("__connect.errors.topic", topic.encode()),
        ("__connect.errors.partition", str(partition).encode()),
        ("__connect.errors.offset", str(offset).encode()),
        ("__connect.errors.exception.class.name", f"drawdown.{reason}".encode()),
        ("__connect.errors.exception.message", detail.encode()),
    )


def cloud_event(
    account: str,
    source: str,
    id_: str,
    type_: str,
    time: int,
    data: bytes | None,
    contract: str | None,
) -> bytes:
    """The CloudEvent of an admitted event again, with the bytes of its `data` as they came."""
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": type_,
        "subject": account,
        "time": format_instant(time),
    }
    if contract is not None:
        event["contract"] = contract
    if data is not None:
        event["data"] = msgspec.Raw(data)
    return msgspec.json.encode(event)
