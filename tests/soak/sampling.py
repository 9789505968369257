"""What is looked at every few seconds: memory of each process, and the lag of each stage."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from deploy.reading.lag import measure
from deploy.reading.surroundings import surroundings
from deploy.servers.find import Servers
from deploy.settings import Settings
from deploy.workers import WORKERS
from schemas.errors import DrawdownError
from tests.memory import resident_kilobytes
from tests.system.pipeline import Pipeline

SAMPLE_SECONDS: Final = 5.0
PROCESSES: Final = (*WORKERS, "broker", "redis")
"""Those whose memory must stay flat."""
HARNESS: Final = ("sender", "probe", "harness")
STAGES: Final = ("admission", "rating", "balances")


@dataclass(frozen=True, slots=True)
class Sample:
    """Values by name, `second` from the start: kilobytes of processes, or lag of stages.

    What is not there just then has no entry. Lag is in records of the stage's input.
    """

    second: float
    values: Mapping[str, int]


def memory(
    second: float, pipeline: Pipeline, servers: Servers, harness: Mapping[str, int]
) -> Sample:
    """The resident size of every process; `harness` are process ids by what they are."""
    pids = {name: pipeline.pid(name) for name in WORKERS} | dict(harness)
    for name, server in (("broker", servers.broker), ("redis", servers.store)):
        pids[name] = None if server is None else server.process.pid
    sizes = {name: resident_kilobytes(pid) for name, pid in pids.items() if pid is not None}
    return Sample(second, {name: size for name, size in sizes.items() if size is not None})


class LagWatch:
    """Asks for the lag while it is open, in a thread: a server that is down keeps it waiting."""

    def __init__(self, settings: Settings, start: int, samples: list[Sample]) -> None:
        self._around = surroundings(settings)
        self._start, self._samples = start, samples
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            second = time.time() - self._start
            found: Counter[str] = Counter(dict.fromkeys(STAGES, 0))
            try:
                for lag in measure(self._around):
                    found[lag.stage] += lag.records
            except DrawdownError:
                continue  # nobody can tell while a server is down
            self._samples.append(Sample(second, dict(found)))
