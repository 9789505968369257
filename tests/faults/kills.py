"""SIGKILL of each worker at seeded moments, again and again, while everything happens."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from deploy.workers import WORKERS
from ingest import Producer
from projections.balances import alerts as kinds
from schemas.errors import DocumentError
from tests.faults.proof import expected, prove
from tests.faults.scenario import Outcome, Run, scenario
from tests.faults.waiting import POLL_SECONDS
from tests.system.pipeline import Pipeline
from tests.system.traffic import ACCOUNTS, Traffic

EVENTS_A_KILL: Final = 3_800
AT_ONCE: Final = 100
"""Records a step, 2,000 a second: what is killed is at work, not done with it already."""
VOIDS_A_ROUND: Final = 12
LATEST_SECONDS: Final = (0.05, 0.2, 0.5, 2.0)
PATIENCE_SECONDS: Final = 180
ALERTS: Final = (
    kinds.LOW,
    kinds.RECOVERED,
    kinds.DEPLETED,
    kinds.LIMIT_REACHED,
    kinds.GRANT_EXPIRED,
    kinds.GRANT_ROLLED_OVER,
)


@dataclass
class Killer:
    """Kills one worker, each time a seeded moment after it was seen to make progress again.

    Mostly soon after, while it catches up with what came when it was dead.
    """

    pipeline: Pipeline
    worker: str
    random: random.Random
    wanted: int
    recoveries: list[float] = field(default_factory=list)
    kills: int = 0
    reached: int = 0
    due: float | None = None
    struck_at: float | None = None

    def step(self) -> None:
        """Kill, if the moment has come."""
        if self.recovered() and self.kills < self.wanted and time.monotonic() >= (self.due or 0):
            self.reached = self.pipeline.progress(self.worker)
            if self.pipeline.kill(self.worker):
                self.kills += 1
                self.struck_at, self.due = time.monotonic(), None

    def recovered(self) -> bool:
        """Has it made progress since it was killed? Then the next moment is drawn."""
        if self.due is None and self.pipeline.progress(self.worker) > self.reached:
            now = time.monotonic()
            if self.struck_at is not None:
                self.recoveries.append(now - self.struck_at)
            self.due = now + self.random.uniform(0, self.random.choice(LATEST_SECONDS))
        late = self.struck_at is not None and time.monotonic() - self.struck_at > PATIENCE_SECONDS
        assert self.due is not None or not late, f"{self.worker} is gone\n{self.pipeline.said()}"
        return self.due is not None


@scenario("workers killed", "SIGKILL of each worker at seeded moments, the three interleaved")
def workers_killed(run: Run) -> Outcome:
    """While grants run dry or expire, contracts change, usage is voided and accounts top up."""
    each = run.pick(100, 3)
    kills = each * len(WORKERS)
    traffic = Traffic(kills * EVENTS_A_KILL, run.seed, time.time_ns() // 1_000)
    with run.pipeline() as pipeline:
        pipeline.apply(traffic.documents())
        killers = [Killer(pipeline, name, run.random(name), each) for name in WORKERS]
        for sent in _send(pipeline, traffic, killers, kills):
            run.progress(f"{sum(k.kills for k in killers)} of {kills} kills, {sent:,} sent")
        run.progress(f"{pipeline.restarts()} restarts; settling")
        differences = prove(pipeline, expected(traffic, traffic.count), run.seed)
        came = Counter(alert["type"] for alert in pipeline.alerts())
        differences += [f"no alert {kind} came" for kind in ALERTS if not came[kind]]
        again = sum(pipeline.repeated_frames().values())
    recoveries = [seconds for killer in killers for seconds in killer.recoveries]
    note = f"{again} frames written again, {traffic.voided} voids"
    return Outcome(kills, traffic.count, recoveries, differences, note)


def _send(pipeline: Pipeline, traffic: Traffic, killers: list[Killer], kills: int) -> Iterator[int]:
    """Send a share of the records for every kill, so that all fall while events come in."""
    records, sent = traffic.records(), 0
    documents = Documents(pipeline, traffic, kills)
    with Producer(pipeline.settings.kafka, pipeline.settings.topic_prefix) as producer:
        while sent < traffic.count or any(not killer.recovered() for killer in killers):
            struck = sum(killer.kills for killer in killers)
            allowed = traffic.count * (struck + 1) // (kills + 1)
            for account, value in islice(records, min(AT_ONCE, allowed - sent)):
                producer.send_encoded(account, value)
                sent += 1
            producer.poll()
            documents.step(struck)
            for killer in killers:
                killer.step()
            pipeline.poll()
            yield sent
            time.sleep(POLL_SECONDS)


@dataclass
class Documents:
    """Top-ups, amendments and voids, spread over the kills."""

    pipeline: Pipeline
    traffic: Traffic
    kills: int
    topped_up: int = 0
    amended: int = 0

    def step(self, struck: int) -> None:
        """Send what is due after so many kills."""
        if self.topped_up < struck * ACCOUNTS // self.kills:
            self.pipeline.apply([self.traffic.top_up(self.topped_up)])
            self.topped_up += 1
        if self.amended < struck * ACCOUNTS // (2 * self.kills):
            self.pipeline.apply([self.traffic.amendment(2 * self.amended + 1)])
            self.amended += 1
        if self.traffic.voided < struck * len(WORKERS) // self.kills * VOIDS_A_ROUND:
            self._void()

    def _void(self) -> None:
        """Void some of the first usage, if its lines are in the ledger already."""
        try:
            self.pipeline.apply(self.traffic.voids(VOIDS_A_ROUND))
        except DocumentError:
            return  # the workers were dead for a while: at a later step
        self.traffic.have_voided(VOIDS_A_ROUND)
