"""The order of admission: catalog, credits and usage of one partition merged by received_at.

A record is written once every other source has been read past its time, or to its end *after* it
was fetched; ties go catalog, credits, usage (architecture.md section 4;
`protocol_model.admission`). So an account or a grant that was acknowledged before its usage was
sent comes before it.

Times are running maxima per source: a source keeps its own order whatever its records' stamps say.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.frames import Source


@dataclass(frozen=True, slots=True)
class Buffered:
    """What was read of one source and not yet written.

    `times` are the running maxima of received_at (never falling), `last` the running maximum of all
    that was ever read of the source, `at_end` whether it was read to the end that it had after
    `asked` (see `writable`).
    """

    times: Sequence[int]
    last: int
    at_end: bool


class Run(NamedTuple):
    """Records `start` to `stop` (exclusive) of one source's buffer, next in the order."""

    source: Source
    start: int
    stop: int


def writable(sources: Sequence[Buffered], asked: int) -> list[int]:
    """How many records of each source (indexed by Source) may be written now.

    `asked` is the latest time that was buffered before the sources' ends were asked for: what was
    stamped later may be preceded by something that is in a log and has not been seen yet.
    """
    counts = []
    for index, source in enumerate(sources):
        count = bisect_right(source.times, asked)
        for other, against in enumerate(sources):
            if other == index or against.at_end:
                continue
            # Up to equal times where this source goes first at a tie, else strictly before.
            cut = bisect_right if index < other else bisect_left
            count = min(count, cut(source.times, against.last))
        counts.append(count)
    return counts


def interleave(sources: Sequence[Buffered], counts: Sequence[int]) -> list[Run]:
    """The first `counts` records of each source in the one order, as the longest possible runs."""
    heads = [0] * len(sources)
    runs: list[Run] = []
    while open_sources := [i for i, head in enumerate(heads) if head < counts[i]]:
        first = min(open_sources, key=lambda i: (sources[i].times[heads[i]], i))
        stop = counts[first]
        for other in open_sources:
            if other != first:
                cut = bisect_right if first < other else bisect_left
                stop = min(stop, cut(sources[first].times, sources[other].times[heads[other]]))
        runs.append(Run(Source(first), heads[first], stop))
        heads[first] = stop
    return runs
