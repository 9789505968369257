"""A histogram that takes a whole column at once: a few microseconds a batch, however many rows.

prometheus_client's own takes one value at a time, which costs more than folding an event does.
`Ages` finds the buckets of a sorted column by binary search. An exemplar of each bucket, its oldest
row, says where in the journal to look; scrapes that ask for OpenMetrics get them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

import polars as pl
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Ages:
    """Ages in buckets. `counts` has one more than the bounds; `oldest` gives, by bucket, a row."""

    counts: Sequence[int]
    seconds: float
    oldest: Mapping[int, int]


def ages(at: pl.Series, now: int, bounds: Sequence[float]) -> Ages:
    """How old each row of `at` is `now`; both in microseconds, `at` never falling.

    Clocks of two machines may disagree: what lies ahead of `now` counts as of age 0.
    """
    since = pl.Series([now - int(bound * _MICROSECONDS) for bound in bounds], dtype=pl.Int64)
    older = [at.len(), *at.search_sorted(since, side="left"), 0]
    counts = [older[i] - older[i + 1] for i in range(len(bounds) + 1)]
    oldest = {i: older[i + 1] for i, count in enumerate(counts) if count}
    total = (now - at).clip(lower_bound=0).sum()
    return Ages(counts, int(total) / _MICROSECONDS, oldest)


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
