"""Records of one source that were read and are not written yet, in offset order."""

from collections.abc import Sequence



from processors.admission.examine import BAD_TIMESTAMP
from processors.admission.merge import Buffered
from processors.admission.record import RawRecord


class Buffer:
    """A queue of messages with their times.

    `read_to` is the offset after the last that was read, whatever holes the log has. A record without
    a usable stamp stands at the time of its predecessor.

    At its end is a source that has passed the end it was asked for *and* whose latest fetch found nothing
    more: the embedded broker answers the question with the first offset of its last batch plus one.
    """

    def __init__(self, offset: int) -> None:
        self.read_to = offset
        self._exhausted = -1
        self.messages: list[RawRecord] = []
        self.received: list[int] = []
        self.times: list[int] = []
        self.last = 0

    def __len__(self) -> int:
        return len(self.messages)

    def append(self, message: RawRecord, offset: int, received_at: int) -> None:
        """Add a record unless it was read before. `received_at` in microseconds or BAD_TIMESTAMP."""
        if offset < self.read_to:
            return
        self.read_to = offset + 1
        if received_at != BAD_TIMESTAMP and received_at > self.last:
            self.last = received_at
        self.messages.append(message)
        self.received.append(received_at)
        self.times.append(self.last)

    def reached(self, offset: int) -> None:
        """A fetch found that the log ends at `offset`."""
        self.read_to = max(self.read_to, offset)
        self._exhausted = max(self._exhausted, offset)

    def at_end(self, end: int) -> bool:
        """Whether the log was read to its end; `end` is the answer of the broker."""
        return self.read_to >= end and self._exhausted >= self.read_to

    def view(self, end: int) -> Buffered:
        """For `merge`; `end` as asked after what is buffered was read."""
        return Buffered(self.times, self.last, self.at_end(end))

    def drop(self, count: int) -> None:
        """Forget the first `count` records: they were written."""
        del self.messages[:count], self.received[:count], self.times[:count]


def latest(buffers: Sequence[Buffer]) -> int:
    """The latest time that any of `buffers` holds; 0 when all are empty."""
    return max((buffer.times[-1] for buffer in buffers if buffer.times), default=0)
