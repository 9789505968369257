"""The figures of a soak: recoveries, quiet windows, its first quarter and its last. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from tests.latency import WINDOW_SECONDS, Histogram, merged
from tests.soak.injector import Struck
from tests.soak.sampling import Sample

IN_TIME_MILLISECONDS: Final = (2_000, 10_000)
"""The least and the most that `in_time` allows, however fast or slow the machine is."""
_STEADY_SECONDS: Final = 3
_BEFORE_SECONDS: Final = WINDOW_SECONDS
_AFTER_SECONDS: Final = WINDOW_SECONDS


@dataclass(frozen=True, slots=True)
class Recovery:
    """After a fault: `seconds` until all is in time again, None for never.

    `longest` is the longest that an event waited meanwhile, in milliseconds.
    """

    fault: Struck
    seconds: float | None
    longest: int


@dataclass(frozen=True, slots=True)
class Quarters:
    """The same figure of the first and of the last quarter of a run; None where there is none."""

    first: float | None
    last: float | None

    def within(self, times: float, plus: float) -> bool:
        """Whether the last is at most so many times the first, and some more."""
        assert times >= 1, times
        if self.first is None or self.last is None:
            return False
        return self.last <= self.first * times + plus


def in_time(windows: Mapping[int, Histogram], until: float) -> int:
    """Milliseconds in which an event counts as in time: twice the p99.9 of the calm `until` then.

    Before the first fault that is; `until` counts as the windows do.
    """
    least, most = IN_TIME_MILLISECONDS
    calm = merged(each for at, each in windows.items() if at + WINDOW_SECONDS <= until)
    return min(max(least, 2 * calm.percentile(999)), most)


def recovery(
    fault: Struck, worst: Mapping[int, int], start: int, seconds: float, bound: int
) -> Recovery:
    """By the longest latency in each second: `worst` counts from the epoch, as `start` does.

    Recovered is what is `in_time`, within `bound` milliseconds, for some seconds in a row.
    """
    longest, steady = 0, 0
    for second in range(int(fault.at), int(seconds)):
        found = worst.get(start + second)
        longest = max(longest, found or 0)
        steady = steady + 1 if found is not None and found <= bound else 0
        if steady == _STEADY_SECONDS and second >= fault.until:
            back = second + 1 - _STEADY_SECONDS
            return Recovery(fault, max(0.0, back - fault.at), longest)
    return Recovery(fault, None, longest)


def quiet(
    windows: Mapping[int, Histogram], recoveries: Sequence[Recovery], start: int, seconds: float
) -> dict[int, Histogram]:
    """The windows, from the start, that no fault and no recovery has touched."""
    disturbed = [_disturbed(each, seconds) for each in recoveries]
    return {
        at - start: histogram
        for at, histogram in sorted(windows.items())
        if all(not began - WINDOW_SECONDS < at - start < ended for began, ended in disturbed)
    }


def _disturbed(recovered: Recovery, seconds: float) -> tuple[float, float]:
    fault = recovered.fault
    back = seconds if recovered.seconds is None else fault.at + recovered.seconds
    return fault.at - _BEFORE_SECONDS, max(back, fault.until) + _AFTER_SECONDS


def latency_quarters(windows: Mapping[int, Histogram], seconds: float, per_mille: int) -> Quarters:
    """A percentile of the windows of each quarter, in milliseconds."""
    first = merged(each for at, each in windows.items() if at < seconds / 4)
    last = merged(each for at, each in windows.items() if at >= seconds * 3 / 4)
    return Quarters(*(each.percentile(per_mille) if each else None for each in (first, last)))


def quarters(samples: Iterable[Sample], seconds: float, name: str) -> Quarters:
    """The median of what is called so, in each quarter."""
    first, last = [], []
    for sample in samples:
        if name not in sample.values:
            continue
        if sample.second < seconds / 4:
            first.append(sample.values[name])
        elif sample.second >= seconds * 3 / 4:
            last.append(sample.values[name])
    return Quarters(*(median(each) if each else None for each in (first, last)))


def least(samples: Iterable[Sample], begin: float, end: float, name: str) -> int | None:
    """The least of what is called so from `begin` to `end`; None where nobody looked."""
    found = [s.values[name] for s in samples if begin <= s.second < end and name in s.values]
    return min(found, default=None)
