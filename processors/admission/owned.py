"""What a worker holds of one owned partition: its buffers, its place, and its frames under way."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from processors.admission.asked import Asked
from processors.admission.buffer import Buffer
from processors.admission.examine import Examiner
from processors.admission.merge import Run
from processors.admission.outbox import Flight
from schemas.frames import Source, Vector

MOST_FLIGHTS: Final = 4


@dataclass
class Owned:
    """One partition that this worker owns.

    `vector` and `clock` are those behind the last frame sent, `acknowledged` behind the last that
    the journal has confirmed and Redis stored, `storing` what Redis is being asked to store. `end`
    is the usage log's end when last asked. Times for ticks are seconds of the monotonic clock.
    """

    examiner: Examiner
    vector: Vector
    clock: int
    acknowledged: Vector
    end: int
    last_tick: float
    ticking: bool = False
    busy: bool = False
    paused: bool = False
    storing: tuple[Flight, Asked[None]] | None = None
    flights: deque[Flight] = field(default_factory=deque)
    buffers: tuple[Buffer, Buffer, Buffer] = field(init=False)

    def __post_init__(self) -> None:
        catalog, credits_, usage = self.vector
        self.buffers = (Buffer(catalog), Buffer(credits_), Buffer(usage))

    @property
    def usage(self) -> Buffer:
        """The usage buffer."""
        return self.buffers[Source.USAGE]

    @property
    def ready(self) -> bool:
        """Whether something waits to be written and may be sent."""
        return len(self.flights) < MOST_FLIGHTS and any(map(len, self.buffers))

    @property
    def lag(self) -> int:
        """Usage records that the journal is not known to hold."""
        return max(0, self.end - self.acknowledged[Source.USAGE])

    def ticked(self) -> None:
        """The last tick has reached the log."""
        self.ticking = False

    def landed(self) -> Flight | None:
        """Take the contiguous prefix of flights that have landed; the last of them."""
        last = None
        while self.flights and self.flights[0].waiting == 0:
            last = self.flights.popleft()
        return last

    def written(self, runs: Sequence[Run]) -> None:
        """Drop the records of `runs` from their buffers."""
        for source in Source:
            stop = max((run.stop for run in runs if run.source == source), default=0)
            self.buffers[source].drop(stop)


def first(runs: list[Run], count: int) -> list[Run]:
    """The first `count` records of `runs`."""
    kept: list[Run] = []
    for run in runs:
        take = min(run.stop - run.start, count)
        if take == 0:
            break
        kept.append(run._replace(stop=run.start + take))
        count -= take
    return kept
