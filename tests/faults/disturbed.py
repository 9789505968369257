"""Servers of a scenario's own, to be killed, stopped and put back; and strikes under traffic."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from deploy.servers.apache import ApacheKafka
from deploy.servers.embedded import embedded_valkey
from deploy.servers.find import Servers
from deploy.servers.redis import RedisServer, installed_redis
from deploy.workers import WORKERS
from tests.faults.flow import Flow
from tests.faults.proof import expected, prove
from tests.faults.scenario import Outcome, Run
from tests.faults.waiting import advanced, pause, until
from tests.system.pipeline import Pipeline
from tests.system.traffic import Traffic

RECOVERY_SECONDS: Final = 180
RATE: Final = 400
"""Usage records a second while faults strike."""

Strike = Callable[[Pipeline, int], None]
"""Does the damage and mends it; it is given the number of the strike, from 0 on."""


def own_redis(run: Run) -> RedisServer:
    """A Redis (Valkey, beside the embedded broker) that appends to a file, flushed each second."""
    make = installed_redis if run.kind == "apache" else embedded_valkey
    return make(run.folder / "redis", log=run.folder / "redis.log", persistent=True)


@contextmanager
def on_own_redis(run: Run) -> Iterator[tuple[Servers, RedisServer]]:
    """The Kafka that scenarios share, with a Redis of this one's own."""
    with own_redis(run) as store:
        yield replace(run.servers, redis_url=store.address, broker=None, store=store), store


@contextmanager
def on_own_kafka(run: Run, folder: Path | None = None) -> Iterator[tuple[Servers, ApacheKafka]]:
    """An Apache Kafka of this scenario's own, in `folder`, with the Redis that scenarios share."""
    broker = ApacheKafka(folder or run.folder / "kafka", log=run.folder / "kafka.log")
    with broker:
        yield replace(run.servers, kafka=broker.address, broker=broker, store=None), broker


def strike_under_traffic(
    run: Run,
    servers: Servers,
    strike: Strike,
    *,
    times: int,
    seconds_between: tuple[float, float],
    prepare: Strike = lambda *_: None,
    recovery_seconds: float = RECOVERY_SECONDS,
) -> Outcome:
    """Strike again and again while usage flows, each time after all workers have made progress.

    A recovery is the time from the start of a strike until every worker has got further than it was
    before: what a server lost has been caught up on by then. `prepare` is done before the pause.
    """
    rng = run.random("strikes")
    count = int(RATE * times * (seconds_between[1] + 10))
    with run.pipeline(servers) as pipeline:
        traffic = Traffic(count, run.seed, time.time_ns() // 1_000)
        pipeline.apply(traffic.documents())
        recoveries: list[float] = []
        with Flow(pipeline, traffic, RATE) as flow:
            wait_until_all_advance(pipeline, recovery_seconds)
            for number in range(times):
                prepare(pipeline, number)
                pause(pipeline, rng.uniform(*seconds_between))
                run.progress(f"strike {number + 1} of {times}")
                recoveries.append(recovery(pipeline, strike, number, recovery_seconds))
        run.progress("settling")
        differences = prove(pipeline, expected(traffic, flow.sent), run.seed)
        return Outcome(times, flow.sent, recoveries, differences)


def recovery(pipeline: Pipeline, strike: Strike, number: int, seconds: float) -> float:
    """Strike; the seconds until every worker is further than before."""
    further = [advanced(pipeline, name) for name in WORKERS]
    started = time.monotonic()
    strike(pipeline, number)
    until(pipeline, "recovery", lambda: all(each() for each in further), seconds)
    return time.monotonic() - started


def wait_until_all_advance(pipeline: Pipeline, seconds: float) -> None:
    """Wait until every worker has committed something."""
    recovery(pipeline, lambda *_: None, 0, seconds)
