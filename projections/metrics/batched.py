"""A histogram that takes a whole column at once: a few microseconds a batch, however many rows.

prometheus_client's own takes one value at a time, which costs more than folding an event does.
`ages` finds the buckets of a sorted column by binary search, on the thread that asks. An exemplar
of each bucket, its oldest row, says where in the journal to look; scrapes that ask for OpenMetrics
get them.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:  # a process without columns (gateway, supervisor) need not load them
    import polars as pl

_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Ages:
    """Ages in buckets. `counts` has one more than the bounds; `oldest` gives, by bucket, a row."""

    counts: Sequence[int]
    seconds: float
    oldest: Mapping[int, int]


def ages(at: "pl.Series", now: int, bounds: Sequence[float]) -> Ages:
    """How old each row of `at` is `now`; both in microseconds, `at` never falling and not empty.

    Clocks of two machines may disagree: what lies ahead of `now` counts as of age 0. Buckets are
    looked for between those of the oldest and the newest row, which mostly are the same.
    """
    limits = [int(bound * _MICROSECONDS) for bound in bounds]
    first, last = bisect_left(limits, now - at.item(0)), bisect_left(limits, now - at.item(-1))
    counts = [0] * (len(limits) + 1)
    oldest: dict[int, int] = {}
    start = 0
    for bucket in range(first, last - 1, -1):
        # Its rows end at the first that is as old as the limit below it, or younger.
        stop = at.len() if bucket == last else _first_since(at, now - limits[bucket - 1], start)
        if stop > start:
            counts[bucket], oldest[bucket], start = stop - start, start, stop
    spans = now - at
    if at.item(-1) > now:
        spans = spans.clip(lower_bound=0)
    return Ages(counts, int(spans.sum()) / _MICROSECONDS, oldest)


def _first_since(at: "pl.Series", instant: int, start: int) -> int:
    """The first row from `start` on that is not before `instant`; `at` never falls."""
    return bisect_left(range(at.len()), instant, start, key=at.item)


class BatchHistogram(Collector):
    """A Prometheus histogram without labels. Shows nothing before `start` or the first batch."""

    def __init__(
        self,
        name: str,
        documentation: str,
        bounds: Sequence[float],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self.bounds = tuple(bounds)
        self._name, self._documentation = name, documentation
        self._lock = Lock()
        self._started = False
        self._counts = [0] * (len(self.bounds) + 1)
        self._seconds = 0.0
        self._exemplars: list[Exemplar | None] = [None] * len(self._counts)
        registry.register(self)

    def start(self) -> None:
        """Show it from now on, at zero."""
        self._started = True

    def observe(self, found: Ages, exemplars: Mapping[int, Exemplar]) -> None:
        """Add a batch; `exemplars` by the number of their bucket."""
        with self._lock:
            self._started = True
            self._counts = [a + b for a, b in zip(self._counts, found.counts, strict=True)]
            self._seconds += found.seconds
            for bucket, exemplar in exemplars.items():
                self._exemplars[bucket] = exemplar

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Its name, for the registry."""
        return [HistogramMetricFamily(self._name, self._documentation)]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Its samples: cumulative, as Prometheus has them."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=())
        with self._lock:
            counts, exemplars = list(self._counts), list(self._exemplars)
            seconds, started = self._seconds, self._started
        if started:
            names = [*map(floatToGoString, self.bounds), "+Inf"]
            upto = 0
            buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
            for name, count, exemplar in zip(names, counts, exemplars, strict=True):
                upto += count
                buckets.append((name, upto) if exemplar is None else (name, upto, exemplar))
            family.add_metric((), buckets, seconds)
        return [family]
