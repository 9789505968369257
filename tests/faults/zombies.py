"""Workers that come back from the dead, and workers that come and go."""

import signal
import time
from typing import Final

from deploy.workers import WORKERS
from tests.faults.disturbed import RATE
from tests.faults.flow import Flow
from tests.faults.proof import expected, prove
from tests.faults.scenario import Outcome, Run, scenario
from tests.faults.waiting import advanced, advanced_everywhere, pause, until
from tests.system.pipeline import Pipeline
from tests.system.traffic import Traffic

PATIENCE_SECONDS: Final = 180
WAKING_SECONDS: Final = 3.0
STORM_SECONDS: Final = 2.0
MOST_EXTRA: Final = 4


@scenario(
    "zombies",
    "SIGSTOP of each worker past its session, another takes over, then SIGCONT",
    needs="apache",
)
def zombies(run: Run) -> Outcome:
    """The zombie wakes up with frames folded, records fetched and sends queued (quick: one does).

    The embedded broker does not take a silent member for dead while its connection stands.
    """
    rounds, rng = run.pick(5, 1), run.random("zombies")
    struck: tuple[str, ...] = run.pick(WORKERS, (rng.choice(WORKERS),))
    traffic = Traffic(rounds * len(struck) * RATE * 60, run.seed, time.time_ns() // 1_000)
    recoveries = []
    with run.pipeline() as pipeline:
        pipeline.apply(traffic.documents())
        with Flow(pipeline, traffic, RATE) as flow:
            for number in range(rounds):
                for name in struck:
                    run.progress(f"{name}, round {number + 1} of {rounds}")
                    until(pipeline, name, advanced(pipeline, name), PATIENCE_SECONDS)
                    pause(pipeline, rng.uniform(0, 1))
                    recoveries.append(take_over(pipeline, name, f"{number + 1}"))
        run.progress("settling")
        differences = prove(pipeline, expected(traffic, flow.sent), run.seed)
        again = sum(pipeline.repeated_frames().values())
    note = f"{again} frames written again"
    return Outcome(rounds * len(struck), flow.sent, recoveries, differences, note)


def take_over(pipeline: Pipeline, name: str, member: str) -> float:
    """Stop a worker, let another have its partitions, wake it up; seconds until they were had."""
    pipeline.signal(name, signal.SIGSTOP)
    try:
        further = advanced_everywhere(pipeline, name)
        heir = pipeline.join(name, member)
        seconds = until(pipeline, f"heir of {name}", further, PATIENCE_SECONDS)
    finally:
        pipeline.signal(name, signal.SIGCONT)
    pause(pipeline, WAKING_SECONDS)
    until(pipeline, name, advanced_everywhere(pipeline, name), PATIENCE_SECONDS)
    pipeline.leave(heir)
    until(pipeline, name, advanced_everywhere(pipeline, name), PATIENCE_SECONDS)
    return seconds


@scenario("join and leave storm", "every 2 s a worker joins or leaves", quick=False)
def storm(run: Run) -> Outcome:
    """Up to four more workers than usual; none lives long."""
    moves, rng = run.pick(90, 8), run.random("storm")
    traffic = Traffic(moves * RATE * 4, run.seed, time.time_ns() // 1_000)
    with run.pipeline(partitions="4") as pipeline:
        pipeline.apply(traffic.documents())
        present: list[str] = []
        with Flow(pipeline, traffic, RATE) as flow:
            for move in range(moves):
                run.progress(f"move {move + 1} of {moves}, {len(present)} more workers")
                if present and (len(present) == MOST_EXTRA or rng.random() < 0.5):
                    pipeline.leave(present.pop(rng.randrange(len(present))))
                else:
                    present.append(pipeline.join(rng.choice(WORKERS), f"{move + 1}"))
                pause(pipeline, STORM_SECONDS)
            for called in present:
                pipeline.leave(called)
            started = time.monotonic()
            for name in WORKERS:
                until(pipeline, name, advanced_everywhere(pipeline, name), PATIENCE_SECONDS)
            recovery = time.monotonic() - started
        run.progress("settling")
        differences = prove(pipeline, expected(traffic, flow.sent), run.seed)
        again = sum(pipeline.repeated_frames().values())
    return Outcome(moves, flow.sent, [recovery], differences, f"{again} frames written again")
