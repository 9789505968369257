"""Is it flat? Each check by a stated bound; what a short run cannot tell is not judged. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.soak.figures import (
    Recovery,
    in_time,
    latency_quarters,
    least,
    quarters,
    quiet,
    recovery,
)
from tests.soak.run import Course
from tests.soak.sampling import PROCESSES

JUDGED_MINUTES: Final = 20
"""Shorter runs warm up for most of their time: they are judged by what they prove alone."""
MOST_RECOVERY_SECONDS: Final = 60
MOST_LAG_SECONDS: Final = 2
_MEMORY_TIMES, _MEMORY_MORE_KILOBYTES = 1.25, 32 * 1024
_LATENCY_TIMES, _LATENCY_MORE_MILLISECONDS = 1.5, 250


@dataclass(frozen=True, slots=True)
class Check:
    """One sentence, and whether it is so; `holds` is None where the run was too short to tell."""

    says: str
    holds: bool | None
    found: str


def bound(course: Course) -> int:
    """Within how many milliseconds events are in time, by what this run does undisturbed."""
    first = min((fault.at for fault in course.struck), default=course.seconds)
    return in_time(course.windows, course.start + first)


def recoveries(course: Course) -> list[Recovery]:
    """After each fault of a course, in their order."""
    within = bound(course)
    return [
        recovery(fault, course.worst, course.start, course.seconds, within)
        for fault in course.struck
    ]


def judge(course: Course) -> list[Check]:
    """Every check of a soak; it has passed when none says False."""
    return [
        *_exact(course),
        _recovered(course),
        _lag(course),
        *_memory(course),
        _latency(course),
    ]


def _exact(course: Course) -> Iterator[Check]:
    report = course.report
    found = [each for each in report.findings.values() if each.found] if report else []
    first = "".join(f"; {each.code}: {each.differences[0]}" for each in found)
    told = f"{sum(each.found for each in found):,} differences{first}"
    told = told if report else "it was not reached"
    yield Check("reconcile proves I1 to I7", report is not None and report.holds, told)
    sums = course.differences
    yield Check(
        "every account has paid what the sender's sums say, every event once",
        report is not None and not sums,
        "; ".join(sums[:3]) or f"{len(course.sent.tokens):,} accounts",
    )


def _recovered(course: Course) -> Check:
    found = recoveries(course)
    late = [
        each.fault.name
        for each in found
        if each.seconds is None or each.seconds > MOST_RECOVERY_SECONDS
    ]
    told = f"{len(found)} faults" + (f", not: {', '.join(late)}" if late else "")
    in_time_of = f"in time ({bound(course) / 1_000:.1f} s) again"
    says = f"{in_time_of} within {MOST_RECOVERY_SECONDS} s of each fault"
    return Check(says, _judged(course, not late), told)


def _lag(course: Course) -> Check:
    """Between two faults the usage that waits is once down to that of two seconds."""
    most = MOST_LAG_SECONDS * course.options.rate
    ends = [*(fault.at for fault in course.struck[1:]), course.seconds]
    found = [
        least(course.lag, fault.until, end, "admission")
        for fault, end in zip(course.struck, ends, strict=True)
    ]
    seen = [lag for lag in found if lag is not None]
    return Check(
        f"the lag is back at no more than {MOST_LAG_SECONDS} s of usage after each fault",
        _judged(course, all(lag <= most for lag in seen)),
        f"at most {max(seen, default=0):,} of {most:,} records, after {len(seen)} faults",
    )


def _memory(course: Course) -> Iterator[Check]:
    for process in PROCESSES:
        found = quarters(course.memory, course.seconds, process)
        flat = found.within(_MEMORY_TIMES, _MEMORY_MORE_KILOBYTES)
        first, last = (
            "none" if each is None else f"{each / 1024:,.0f} MB"
            for each in (found.first, found.last)
        )
        yield Check(
            f"the memory of {process} is flat (at most {_MEMORY_TIMES} x + 32 MB)",
            _judged(course, flat),
            f"{first} in the first quarter, {last} in the last",
        )


def _latency(course: Course) -> Check:
    calm = quiet(course.windows, recoveries(course), course.start, course.seconds)
    found = latency_quarters(calm, course.seconds, 990)
    flat = found.within(_LATENCY_TIMES, _LATENCY_MORE_MILLISECONDS)
    return Check(
        f"p99 of quiet windows is flat (at most {_LATENCY_TIMES} x + 250 ms)",
        _judged(course, flat),
        f"{found.first} ms in the first quarter, {found.last} ms in the last",
    )


def _judged(course: Course, flat: bool) -> bool | None:
    return flat if course.seconds >= JUDGED_MINUTES * 60 else None
