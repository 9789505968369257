"""What a soak's figures say, and when its verdict is no."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from deploy.reading.report import Report
from tests.latency import Histogram
from tests.soak.figures import (
    Quarters,
    Recovery,
    in_time,
    latency_quarters,
    quarters,
    quiet,
    recovery,
)
from tests.soak.injector import Struck
from tests.soak.plan import blows, plan
from tests.soak.report import passed, summary
from tests.soak.run import Course, Options
from tests.soak.sampling import PROCESSES, STAGES, Sample
from tests.soak.verdict import JUDGED_MINUTES, judge

START = 1_000
SECONDS = JUDGED_MINUTES * 60
OPTIONS = Options(JUDGED_MINUTES, 100, 1, "apache", 10, 4, 60)
KILL = Struck("kill rating", 600.5, 600.6)


def flat_course() -> Course:
    """One fault, from which events wait for up to five seconds; all else is as it should be."""
    worst = dict.fromkeys(range(START, START + SECONDS), 300)
    worst |= {START + 600: 5_000, START + 601: 4_000, START + 602: 3_000, START + 603: 2_001}
    return Course(
        OPTIONS,
        start=START,
        seconds=SECONDS,
        memory=sampled(dict.fromkeys(PROCESSES, 100_000)),
        lag=sampled(dict.fromkeys(STAGES, 1)),
        struck=[KILL],
        windows={at: Histogram([100] * 99 + [300]) for at in range(START, START + SECONDS, 10)},
        worst=worst,
        report=Report(),
    )


def sampled(values: Mapping[str, int]) -> list[Sample]:
    return [Sample(second, values) for second in range(0, SECONDS, 5)]


def failures(course: Course) -> list[str]:
    return [check.says for check in judge(course) if check.holds is False]


def test_what_is_flat_passes() -> None:
    course = flat_course()
    assert failures(course) == []
    assert passed(course)
    assert "| kill rating | 1 | 3.5 | 3.5 | 5000 |" in summary(course)


def test_a_leak_fails() -> None:
    """A process that holds half as much again, and 60 MB more, in the last quarter."""
    course = flat_course()
    course.memory = [
        replace(each, values={**each.values, "rating": 100_000 + 70 * int(each.second)})
        for each in course.memory
    ]
    assert failures(course) == ["the memory of rating is flat (at most 1.25 x + 32 MB)"]


def test_latency_that_grows_fails() -> None:
    course = flat_course()
    late = START + SECONDS * 3 // 4
    course.windows |= {at: Histogram([900]) for at in course.windows if at >= late}
    assert failures(course) == ["p99 of quiet windows is flat (at most 1.5 x + 250 ms)"]


def test_a_short_run_judges_what_it_proves_alone() -> None:
    course = flat_course()
    course.seconds = SECONDS - 1
    assert [check.holds for check in judge(course)].count(None) == len(PROCESSES) + 3


def test_a_backlog_that_stays_fails() -> None:
    course = flat_course()
    course.lag = [
        replace(each, values={**each.values, "admission": 201 if each.second > KILL.at else 0})
        for each in course.lag
    ]
    assert failures(course) == ["the lag is back at no more than 2 s of usage after each fault"]


def test_a_fault_without_recovery_fails() -> None:
    course = flat_course()
    course.worst |= dict.fromkeys(range(START + 600, START + SECONDS), 2_500)
    assert failures(course)[0] == "in time (2.0 s) again within 60 s of each fault"


@pytest.mark.parametrize("part", ["sums", "reconciliation", "nothing proved"])
def test_a_difference_fails(part: str) -> None:
    course = flat_course()
    if part == "sums":
        course.differences.append("a1 paid 2, not 3")
    elif part == "reconciliation":
        assert course.report is not None
        course.report.findings["I4"].differ("a row")
    else:
        course.report = None
    assert not passed(course)


def test_recovery_is_when_three_seconds_in_a_row_are_in_time() -> None:
    """A second in time between late ones is none; nor is one in which nothing was measured."""
    fault = Struck("restart redis", 10.0, 14.0)
    worst = {10: 9_000, 11: 8_000, 12: 2_000, 13: 6_000, 15: 1_000, 16: 1_000, 17: 1_000}
    assert recovery(fault, worst, 0, 30, 2_000) == Recovery(fault, 5.0, 9_000)
    assert recovery(fault, worst, 0, 17, 2_000) == Recovery(fault, None, 9_000)


@pytest.mark.parametrize(("calm", "expected"), [(100, 2_000), (1_500, 3_000), (60_000, 10_000)])
def test_in_time_is_twice_what_is_usual_before_the_first_fault(calm: int, expected: int) -> None:
    """A slow machine is measured by itself, within limits; what a fault delays does not count."""
    windows = {0: Histogram([calm]), 10: Histogram([9_000])}
    assert in_time(windows, 15) == expected


def test_a_fault_that_nobody_noticed_has_recovered_at_once() -> None:
    fault = Struck("kill rating", 10.2, 10.2)
    assert recovery(fault, dict.fromkeys(range(30), 5), 0, 30, 2_000) == Recovery(fault, 0.0, 5)


def test_quiet_windows_lie_clear_of_every_fault() -> None:
    """From ten seconds before it until ten after everything was in time again."""
    windows = {at: Histogram([1]) for at in range(0, 200, 10)}
    found = quiet(windows, [Recovery(Struck("kill rating", 65, 66), 20.0, 0)], 0, 200)
    assert sorted(found) == [0, 10, 20, 30, 40, *range(100, 200, 10)]


def test_quarters_are_medians_of_the_first_and_the_last() -> None:
    samples = [Sample(at, {"redis": at}) for at in range(100)]
    assert quarters(samples, 100, "redis") == Quarters(12, 87)
    assert quarters(samples, 100, "broker") == Quarters(None, None)
    assert latency_quarters({0: Histogram([1]), 90: Histogram([7])}, 100, 990) == Quarters(1, 7)


def test_a_plan_is_calm_at_its_ends_and_strikes_every_kind() -> None:
    """About one fault a minute; the same for the same seed."""
    kinds = blows("apache")
    drawn = plan(7, 3_600, 60, kinds)
    assert drawn == plan(7, 3_600, 60, kinds) != plan(8, 3_600, 60, kinds)
    assert 40 <= len(drawn) <= 56
    assert drawn[0].at >= 360
    assert drawn[-1].at <= 3_240
    for kind in kinds:
        assert sum(fault.blow == kind for fault in drawn) >= 5
    assert all(fault.blow.way != "restart" for fault in plan(7, 3_600, 60, blows("embedded")))
