"""One soak: the pipeline under load and faults, looked at every few seconds, and then proved."""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console

from deploy.reading.reconcile import reconcile
from deploy.reading.report import Report
from deploy.servers.find import Kind, Servers, open_servers
from schemas.times import SECOND, parse_duration
from tests.latency import Histogram, LatencyProbe
from tests.soak.injector import Injector, Struck
from tests.soak.load import SOURCE, WINDOW, Load, Sent
from tests.soak.plan import blows, plan
from tests.soak.sampling import SAMPLE_SECONDS, LagWatch, Sample, memory
from tests.soak.sender import Sender
from tests.system.pipeline import Pipeline, running
from tests.system.traffic import cost_of

_STEP_SECONDS: Final = 0.1
_TELL_SECONDS: Final = 10.0
_LEAD_SECONDS: Final = 2
_SETTLE_SECONDS: Final = 900.0
_BLOCK_BYTES: Final = 512  # of st_blocks: Kafka's index files are larger than what they hold
_SESSION_SECONDS: Final = {"embedded": 3, "apache": 6}


@dataclass(frozen=True)
class Options:
    """What is asked for; `fault_seconds` is the time between faults, about."""

    minutes: int
    rate: int
    seed: int
    kind: Kind
    accounts: int
    partitions: int
    fault_seconds: int


@dataclass
class Course:
    """How a soak went; `start` is in seconds since the epoch, other instants count from it."""

    options: Options
    start: int = 0
    seconds: float = 0.0
    memory: list[Sample] = field(default_factory=list)
    lag: list[Sample] = field(default_factory=list)
    struck: list[Struck] = field(default_factory=list)
    windows: dict[int, Histogram] = field(default_factory=dict)
    worst: dict[int, int] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    sent: Sent = field(default_factory=Sent)
    log_bytes: int = 0
    differences: list[str] = field(default_factory=list)
    report: Report | None = None
    reconcile_cpu_seconds: float = 0.0


Told = Callable[[str], None]


def soak(course: Course, folder: Path, tell: Told, stopping: Callable[[], bool]) -> None:
    """Fill `course`, also when it ends early or by an error. `stopping` ends the load."""
    options = course.options
    tell(f"starting {options.kind} servers; seed {options.seed}")
    with open_servers(options.kind, folder) as servers:
        with _workers(options, servers, folder / "logs") as pipeline:
            _conduct(course, pipeline, servers, tell, stopping)
            _finish(course, pipeline)
            deployment = pipeline.settings
        course.log_bytes = _size(folder / "kafka")
        tell("reconciling")
        before = os.times()
        course.report = reconcile(deployment, Console(file=StringIO()), options.seed)
        course.reconcile_cpu_seconds = _of_children(os.times()) - _of_children(before)


def _workers(options: Options, servers: Servers, logs: Path) -> AbstractContextManager[Pipeline]:
    logs.mkdir(exist_ok=True)
    window = parse_duration(WINDOW).microseconds // SECOND
    return running(
        servers,
        "soak.",
        logs,
        partitions=str(options.partitions),
        session_timeout_seconds=str(_SESSION_SECONDS[options.kind]),
        dedupe_window=WINDOW,
        max_event_age=WINDOW,
        keys_per_generation=str(options.rate * window // options.partitions),
    )


def _conduct(
    course: Course,
    pipeline: Pipeline,
    servers: Servers,
    tell: Told,
    stopping: Callable[[], bool],
) -> None:
    """Documents, then usage and faults for as long as it was asked for."""
    options = course.options
    length = options.minutes * 60
    load = Load(options.seed, time.time_ns() // 1_000, options.rate, length, options.accounts)
    pipeline.apply(load.documents())
    pipeline.wait_until_settled(_SETTLE_SECONDS)
    tell(f"{options.accounts:,} accounts are ready; {options.rate:,} events/s for {length} s")
    faults = plan(options.seed, length, options.fault_seconds, blows(options.kind))
    injector = Injector(faults, pipeline, servers)
    course.struck = injector.struck
    with LatencyProbe(pipeline.settings, SOURCE) as probe:
        course.windows, course.worst = probe.windows, probe.worst
        sender = Sender(pipeline.settings, load)
        watch = _Watch(course, pipeline, servers, probe, sender, tell)
        course.start = int(time.time()) + _LEAD_SECONDS
        sender.begin(course.start * SECOND)
        with LagWatch(pipeline.settings, course.start, course.lag):
            while (second := time.time() - course.start) < length and not stopping():
                pipeline.poll()
                injector.step(second)
                watch.step(second)
                time.sleep(_STEP_SECONDS)
        injector.finish(time.time() - course.start)
        course.seconds = time.time() - course.start
        course.sent = sender.finish()
        tell("settling")
        pipeline.wait_until_settled(_SETTLE_SECONDS)


@dataclass
class _Watch:
    """Samples and progress lines, each at its own pace."""

    course: Course
    pipeline: Pipeline
    servers: Servers
    probe: LatencyProbe
    sender: Sender
    tell: Told
    sample_at: float = 0.0
    tell_at: float = _TELL_SECONDS

    def step(self, second: float) -> None:
        self.probe.take()
        if second >= self.sample_at:
            harness = {"sender": self.sender.pid, "probe": self.probe.pid, "harness": os.getpid()}
            sample = memory(second, self.pipeline, self.servers, harness)
            self.course.memory.append(sample)
            self.sample_at = second + SAMPLE_SECONDS
        if second >= self.tell_at:
            self.tell(self._line(second))
            self.tell_at = second + _TELL_SECONDS

    def _line(self, second: float) -> str:
        course = self.course
        behind = course.lag[-1].values if course.lag else {}
        lag = [f"{name} {count:,}" for name, count in behind.items()]
        sizes = [f"{name} {size // 1024}" for name, size in course.memory[-1].values.items()]
        latency = course.windows.get(max(course.windows, default=0), Histogram())
        last = f", last {course.struck[-1].name}" if course.struck else ""
        parts = [
            f"{int(second) // 60:3}:{int(second) % 60:02} sent {self.sender.events:,}",
            f"p50 {latency.percentile(500)} p99 {latency.percentile(990)} ms",
            f"lag {' '.join(lag)}",
            f"MB {' '.join(sizes)}",
            f"{len(course.struck)} faults{last}",
        ]
        return " · ".join(parts)


def _finish(course: Course, pipeline: Pipeline) -> None:
    """By the harness's own sums: every token is paid once, from a grant or as overage."""
    course.restarts = pipeline.restarts()
    sent = course.sent
    for account, tokens in sent.tokens.items():
        balance = pipeline.balance(account)
        paid = Decimal(balance["consumed"]) + Decimal(balance["overage"])
        if paid != cost_of(account, tokens):
            course.differences.append(f"{account} paid {paid}, not {cost_of(account, tokens)}")
    measured = sum(window.count for window in course.windows.values())
    if measured != sent.accepted:
        course.differences.append(f"{measured} events reached a balance, not {sent.accepted}")


def _of_children(times: os.times_result) -> float:
    return times.children_user + times.children_system


def _size(folder: Path) -> int:
    return sum(path.stat().st_blocks * _BLOCK_BYTES for path in folder.rglob("*") if path.is_file())
