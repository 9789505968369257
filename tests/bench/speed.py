"""How fast a contender is, and what it costs, on a topic that was filled before.

A first thousand events go through all of it, so that everything is started, assigned and cached.
Then what reads usage is stopped, the rest of the file is loaded, and it is started again. The clock
runs from the first usage that is durably applied to the last; what was applied in the beginning is
not counted. So nobody pays for starting, and nobody gains by committing late. Only a file that is
half done when it is first looked at is timed from the start, and whole.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.audit import Expected, Verdict
from tests.bench.contender import Contender
from tests.bench.processes import Meter
from tests.bench.servers import Broker
from tests.bench.trial import POLL_SECONDS, Ends, Trial, on_trial

WARM_UP: Final = 1_000
_START_SECONDS: Final = 300.0
_SAMPLE_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Speed:
    """`events` were applied in `seconds`; CPU in seconds and peak memory in MB, by process.

    `finished` says whether that was the whole file, `start_seconds` how long a warm start took.
    """

    events: int
    seconds: float
    start_seconds: float
    cpu: dict[str, float]
    megabytes: dict[str, int]
    finished: bool

    @property
    def events_per_second(self) -> int:
        """From the first applied to the last."""
        return round(self.events / self.seconds)

    @property
    def cpu_seconds_per_million(self) -> float:
        """Of all processes together."""
        return self.cpu_of(*self.cpu)

    def cpu_of(self, *names: str) -> float:
        """CPU-seconds per million events of the processes whose names begin so."""
        spent = sum(used for name, used in self.cpu.items() if name.startswith(names))
        return round(spent * 1e6 / self.events, 1)

    def row(self) -> dict[str, Any]:
        """As a line of the table."""
        return {
            "events/s": self.events_per_second,
            "CPU-s per million": self.cpu_seconds_per_million,
            "peak MB": sum(self.megabytes.values()),
            "of which": ", ".join(
                f"{name} {self.cpu_of(name)} s {self.megabytes.get(name, 0)} MB"
                for name in self.cpu
            ),
            "events": self.events,
            "seconds": round(self.seconds, 1),
            "started in s": round(self.start_seconds, 1),
        }


def measure(trial: Trial, path: Path, limit: float) -> Speed:
    """Warm up, load the rest of `path`, and time it; at most `limit` seconds of it."""
    warm = trial.load(path, 0, WARM_UP)
    trial.start()
    trial.wait(warm, _START_SECONDS)
    trial.stop_intake()
    base = trial.ends()
    ends = trial.load(path, WARM_UP)
    began = time.monotonic()
    trial.start()
    meter = Meter(trial.pids())
    meter.start()
    while not trial.has_begun(base, ends):
        if time.monotonic() - began > _START_SECONDS:
            raise TimeoutError(f"{trial.contender.name} does not begin:\n{trial.said()}")
        time.sleep(POLL_SECONDS)
    first = time.monotonic()
    before = trial.applied(base, ends)
    started = (first + time.monotonic()) / 2  # it took a moment to find out
    if 2 * before < sum(ends.values()) - sum(base.values()):
        meter.start()
    else:
        started, before = began, 0
    finished = _run(trial, ends, meter, started + limit)
    seconds, cpu = time.monotonic() - started, meter.cpu()
    applied = trial.applied(base, ends) - before
    return Speed(applied, seconds, first - began, cpu, meter.megabytes(), finished)


def _run(trial: Trial, ends: Ends, meter: Meter, until: float) -> bool:
    sample_at = 0.0
    while not trial.done(ends):
        now = time.monotonic()
        if now > until:
            return False
        if now > sample_at:
            meter.sample()
            sample_at = now + _SAMPLE_SECONDS
        time.sleep(POLL_SECONDS)
    meter.sample()
    return True


def speed_of(
    contender: Contender,
    broker: Broker,
    folder: Path,
    path: Path,
    *,
    accounts: int,
    partitions: int,
    workers: int = 1,
    limit: float = 900.0,
    expected: Expected | None = None,
) -> tuple[Speed, Verdict | None]:
    """A whole run. With `expected`, what it came to is audited, if it came to its end."""
    with on_trial(
        contender, broker, folder, accounts=accounts, partitions=partitions, workers=workers
    ) as trial:
        speed = measure(trial, path, limit)
        if expected is None or not speed.finished:
            return speed, None
        return speed, trial.verdict(expected)
