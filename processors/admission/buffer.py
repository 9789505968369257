"""Records of one source that were read and are not written yet, in offset order."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from processors.admission.merge import Buffered
from processors.admission.record import Records


class Buffer:
    """A queue of records with their times.

    `read_to` is the offset after the last that was read, whatever holes the log has. `times` are
    the running maxima of received_at: a record without a usable stamp stands at its predecessor's.

    At its end is a source that has passed the end it was asked for *and* whose latest fetch found
    nothing more: the embedded broker answers the question for the end with the first offset of its
    last batch plus one.
    """

    def __init__(self, offset: int) -> None:
        self.read_to = offset
        self.records = Records()
        self.times: list[int] = []
        self.last = 0
        self._exhausted = -1

    def __len__(self) -> int:
        return len(self.times)

    def extend(self, records: Records) -> None:
        """Add records, leaving out those that were read before."""
        known = bisect_left(records.offsets, self.read_to)
        if known:
            records = records.take(known, len(records))
        if not len(records):
            return
        self.read_to = records.offsets[-1] + 1
        times = list(accumulate(records.received_at, max, initial=self.last))
        self.last = times[-1]
        self.times.extend(times[1:])
        self.records.extend(records)

    def reached(self, offset: int) -> None:
        """A fetch found that the log ends at `offset`."""
        self.read_to = max(self.read_to, offset)
        self._exhausted = max(self._exhausted, offset)

    def at_end(self, end: int) -> bool:
        """Whether the log was read to its end; `end` is the answer of the broker."""
        return self.read_to >= end and self._exhausted >= self.read_to

    def has_passed(self, end: int) -> bool:
        """Whether there is nothing to wait for: at its end, or beyond what was asked for.

        A source that more comes to all the time is seldom at its end: its times decide then.
        """
        return self.read_to > end or self.at_end(end)

    def view(self, end: int) -> Buffered:
        """For `merge`; `end` as asked after what is buffered was read."""
        return Buffered(self.times, self.last, self.at_end(end))

    def drop(self, count: int) -> None:
        """Forget the first `count` records: they were written."""
        self.records.drop(count)
        del self.times[:count]


def latest(buffers: Sequence[Buffer]) -> int:
    """The latest time that any of `buffers` holds; 0 when all are empty."""
    return max((buffer.times[-1] for buffer in buffers if buffer.times), default=0)
