"""Raw records as admission works on them: what the log says of its messages."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import Message

from schemas.envelope import Headers


class RawRecord(msgspec.Struct, gc=False):
    """One record of a known topic and partition.

    `received_at` is when the log got it, in microseconds, or BAD_TIMESTAMP.
    """

    offset: int
    received_at: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None


@dataclass(slots=True)
class Records:
    """Records of one partition in offset order, as columns of one length (see RawRecord)."""

    offsets: list[int] = field(default_factory=list)
    received_at: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    headers: list[Headers | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: int) -> RawRecord:
        return RawRecord(
            self.offsets[index],
            self.received_at[index],
            self.keys[index],
            self.values[index],
            self.headers[index],
        )

    def __iter__(self) -> Iterator[RawRecord]:
        return (self[index] for index in range(len(self)))

    def take(self, start: int, stop: int) -> "Records":
        """Those from `start` to `stop` (exclusive)."""
        return Records(
            self.offsets[start:stop],
            self.received_at[start:stop],
            self.keys[start:stop],
            self.values[start:stop],
            self.headers[start:stop],
        )

    def extend(self, other: "Records") -> None:
        """Add what follows."""
        self.offsets.extend(other.offsets)
        self.received_at.extend(other.received_at)
        self.keys.extend(other.keys)
        self.values.extend(other.values)
        self.headers.extend(other.headers)

    def drop(self, count: int) -> None:
        """Forget the first `count`."""
        del self.offsets[:count], self.received_at[:count]
        del self.keys[:count], self.values[:count], self.headers[:count]


def received(messages: Sequence[Message], received_at: list[int]) -> Records:
    """The columns of `messages`, which follow one another."""
    return Records(
        [message.offset() for message in messages],  # type: ignore[misc]  # None: never in a log
        received_at,
        [message.key() for message in messages],
        [message.value() for message in messages],
        [message.headers() for message in messages],  # type: ignore[misc]  # consumed: a list
    )


def columns_of(records: Iterable[RawRecord]) -> Records:
    """`records` as columns."""
    columns = zip(*map(msgspec.structs.astuple, records), strict=True)
    return Records(*map(list, columns))
