"""Real workers killed again and again: nothing is lost, nothing doubled, every alert is sent."""

import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Final

import pytest

from deploy.servers.find import Servers
from deploy.workers import WORKERS
from ingest import Producer
from projections.balances import alerts as kinds
from schemas.errors import DocumentError
from tests.system.pipeline import Pipeline, running
from tests.system.traffic import ACCOUNTS, Traffic, cost_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]
EVENTS: Final = 80_000
KILLS_EACH: Final = 7
KILLS: Final = KILLS_EACH * len(WORKERS)
LEAST_KILLS: Final = 20
AT_ONCE: Final = 2_500
STEP_SECONDS: Final = 0.05
VOIDS: Final = 12
LATEST_KILL_SECONDS: Final = (0.05, 0.2, 0.5, 2.0)
SENDING_SECONDS: Final = 180
SETTLE_SECONDS: Final = 90
SEED: Final = int(os.environ.get("DRAWDOWN_TEST_SEED", "20260101"))


@dataclass
class Killer:
    """Kills one worker, each time a seeded moment after it was seen to make progress again.

    Mostly soon after, while it catches up with what came when it was dead.
    """

    pipeline: Pipeline
    worker: str
    random: random.Random
    kills: int = 0
    reached: int = field(default=0, init=False)
    due: float | None = field(default=None, init=False)

    def step(self) -> None:
        """Kill, if the moment has come."""
        if self.kills == KILLS_EACH:
            return
        now = time.monotonic()
        if self.due is None:
            if self.pipeline.progress(self.worker) > self.reached:
                latest = self.random.choice(LATEST_KILL_SECONDS)
                self.due = now + self.random.uniform(0, latest)
        elif now >= self.due and self.pipeline.kill(self.worker):
            self.kills += 1
            self.reached, self.due = self.pipeline.progress(self.worker), None


@pytest.mark.timeout(420)
def test_nothing_is_lost_and_nothing_doubled(
    servers: Servers, topic_prefix: str, tmp_path: Path
) -> None:
    """SIGKILL while usage comes in, grants run dry or expire, contracts change, usage is voided."""
    print(f"DRAWDOWN_TEST_SEED={SEED}")
    traffic = Traffic(EVENTS, SEED, time.time_ns() // 1_000)
    seconds = "3" if servers.kind == "embedded" else "6"  # Apache Kafka accepts no less than 6
    with running(servers, topic_prefix, tmp_path, session_timeout_seconds=seconds) as pipeline:
        pipeline.apply(traffic.documents())
        kills = send_and_kill(pipeline, traffic)
        print(f"kills {dict(kills)}, restarts {pipeline.restarts()}")
        assert kills.total() >= LEAST_KILLS
        pipeline.wait_until_settled(SETTLE_SECONDS)
        print(f"frames written again: {pipeline.repeated_frames()}")
        check_sums(pipeline, traffic)
        report = pipeline.reconcile(SEED)
        outcomes = pipeline.figures(report, "I1")
        assert outcomes["duplicate"] == traffic.repeats
        assert outcomes["accepted"] == EVENTS - traffic.repeats
        check_alerts(pipeline, pipeline.figures(report, "I6"))


def send_and_kill(pipeline: Pipeline, traffic: Traffic) -> Counter[str]:
    """Send, a share of the records for every kill, so that all kills fall while events come in."""
    started = time.monotonic()
    killers = [Killer(pipeline, name, random.Random(f"{SEED} {name}")) for name in WORKERS]
    records, sent, topped_up, amended = traffic.records(), 0, 0, 0
    with Producer(pipeline.settings.kafka, pipeline.settings.topic_prefix) as producer:
        while sent < EVENTS:
            assert time.monotonic() - started < SENDING_SECONDS, pipeline.said()
            kills = sum(killer.kills for killer in killers)
            allowed = EVENTS * (kills + 1) // (KILLS + 1)
            for account, value in islice(records, min(AT_ONCE, allowed - sent)):
                producer.send_encoded(account, value)
                sent += 1
            producer.poll()
            if topped_up < kills * ACCOUNTS // KILLS:
                pipeline.apply([traffic.top_up(topped_up)])
                topped_up += 1
            if amended < kills * ACCOUNTS // (2 * KILLS):
                pipeline.apply([traffic.amendment(2 * amended + 1)])
                amended += 1
            if traffic.voided < kills // KILLS_EACH * VOIDS:
                void(pipeline, traffic)
            for killer in killers:
                killer.step()
            pipeline.poll()
            time.sleep(STEP_SECONDS)
    print(f"sent {sent} in {time.monotonic() - started:.0f} s")
    return Counter({killer.worker: killer.kills for killer in killers})


def void(pipeline: Pipeline, traffic: Traffic) -> None:
    """Void some of the first usage, if its lines are in the ledger already."""
    try:
        pipeline.apply(traffic.voids(VOIDS))
    except DocumentError:
        return  # the workers were dead for a while: at a later step
    traffic.have_voided(VOIDS)


def check_sums(pipeline: Pipeline, traffic: Traffic) -> None:
    """By the test's own sums: every token is paid once, from a grant or as overage."""
    assert traffic.voided > 0
    for account, tokens in traffic.tokens.items():
        balance = pipeline.balance(account)
        paid = Decimal(balance["consumed"]) + Decimal(balance["overage"])
        assert paid == cost_of(account, tokens), account


def check_alerts(pipeline: Pipeline, figures: Counter[str]) -> None:
    """Repeats dropped by id, the reference's set; and every kind has come."""
    sent = pipeline.alerts()
    by_id = {alert["id"]: alert["type"] for alert in sent}
    assert len(by_id) == figures["alerts"] == figures["expected"]
    came = Counter(by_id.values())
    print(f"alerts {dict(came)}, repeats {len(sent) - len(by_id)}")
    for kind in (kinds.LOW, kinds.RECOVERED):
        assert came[kind] >= ACCOUNTS, came
    for kind in (kinds.DEPLETED, kinds.LIMIT_REACHED, kinds.GRANT_EXPIRED, kinds.GRANT_ROLLED_OVER):
        assert came[kind] > 0, came
    assert came[kinds.GRANT_ISSUED] >= 2 * ACCOUNTS, came
