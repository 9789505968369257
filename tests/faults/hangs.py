"""Servers and connections that hang: nothing is closed, nothing answers.

Measured from the hang, or from its end where the server itself hung, until each worker makes
progress again: by itself, or by a successor after it has ended with an error.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from deploy.servers.apache import ApacheKafka
from deploy.servers.find import Servers
from deploy.servers.process import LOOPBACK, ServerProcess, free_port
from deploy.workers import WORKERS
from tests.faults.disturbed import (
    RATE,
    on_own_kafka,
    on_own_redis,
    own_redis,
    wait_until_all_advance,
)
from tests.faults.flow import Flow
from tests.faults.proof import expected, prove
from tests.faults.proxy import Proxy
from tests.faults.scenario import Outcome, Run, scenario
from tests.faults.waiting import advanced, pause, until
from tests.system.pipeline import Pipeline
from tests.system.traffic import Traffic

MOST_SECONDS: Final = 180
"""A worker that has made no progress by then hangs for ever, for all we care."""
HUNG_SECONDS: Final = (20, 20, 90)
"""How long a server hangs: past every session; the last time past the workers' patience, too."""
UNDER_WAY_SECONDS: Final = 1.0

Apart = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Recovery:
    """Seconds until a worker made progress again, and how often it was started for that."""

    worker: str
    seconds: float
    restarts: int

    def __str__(self) -> str:
        by = f", {self.restarts} restarts" if self.restarts else ""
        return f"{self.worker} {self.seconds:.0f} s{by}"


@contextmanager
def kafka_apart(run: Run) -> Iterator[tuple[Servers, dict[str, Proxy], Apart]]:
    """An Apache Kafka that each worker reaches through a proxy of its own."""
    with ExitStack() as stack:
        behind = {name: free_port() for name in WORKERS}
        proxies = {name: stack.enter_context(Proxy(port)) for name, port in behind.items()}
        advertised = {behind[name]: proxy.port for name, proxy in proxies.items()}
        broker = ApacheKafka(
            run.folder / "kafka", log=run.folder / "kafka.log", advertised=advertised
        )
        stack.enter_context(broker)
        servers = replace(run.servers, kafka=broker.address, broker=broker, store=None)
        apart = {name: {"kafka": f"{LOOPBACK}:{proxy.port}"} for name, proxy in proxies.items()}
        yield servers, proxies, apart


@contextmanager
def redis_apart(run: Run) -> Iterator[tuple[Servers, dict[str, Proxy], Apart]]:
    """A Redis that each worker reaches through a proxy of its own."""
    with ExitStack() as stack:
        store = stack.enter_context(own_redis(run))
        proxies = {name: stack.enter_context(Proxy(store.port)) for name in WORKERS}
        servers = replace(run.servers, redis_url=store.address, broker=None, store=store)
        apart = {
            name: {"redis_url": f"redis://{LOOPBACK}:{proxy.port}/0"}
            for name, proxy in proxies.items()
        }
        yield servers, proxies, apart


def silenced(run: Run, servers: Servers, proxies: dict[str, Proxy], apart: Apart) -> Outcome:
    """Silence each worker's connections in turn, and measure."""
    rounds = run.pick(3, 1)
    with traffic_on(run, servers, rounds * len(WORKERS) * 40, apart) as (pipeline, flow, traffic):
        found = []
        for number in range(rounds):
            for name in WORKERS:
                run.progress(f"{name}, round {number + 1} of {rounds}")
                found.append(silence(pipeline, proxies[name], name))
                pause(pipeline, run.random(name).uniform(0.5, 2))
        flow.stop()
        return outcome(run, pipeline, traffic, flow, found)


def silence(pipeline: Pipeline, proxy: Proxy, name: str) -> Recovery:
    """No connection of the worker carries a byte any more; new ones do."""
    restarts, started = pipeline.restarts()[name], time.monotonic()
    proxy.silence()
    pause(pipeline, UNDER_WAY_SECONDS)  # what a server was doing already
    until(pipeline, name, advanced(pipeline, name), MOST_SECONDS)
    seconds = time.monotonic() - started
    return Recovery(name, seconds, pipeline.restarts()[name] - restarts)


def stopped(run: Run, servers: Servers, server: ServerProcess) -> Outcome:
    """SIGSTOP a server; after SIGCONT, measure all workers."""
    rounds = HUNG_SECONDS[: run.pick(None, 1)]
    with traffic_on(run, servers, sum(rounds) + 20 * len(rounds)) as (pipeline, flow, traffic):
        found = []
        for seconds in rounds:
            run.progress(f"for {seconds} s")
            found += stop(pipeline, server, seconds)
            pause(pipeline, 2)
        flow.stop()
        return outcome(run, pipeline, traffic, flow, found)


def stop(pipeline: Pipeline, server: ServerProcess, seconds: float) -> list[Recovery]:
    """The server hangs for `seconds`; then how long each worker takes to go on."""
    assert server.pid is not None
    restarts = pipeline.restarts()
    further = {name: advanced(pipeline, name) for name in WORKERS}
    os.kill(server.pid, signal.SIGSTOP)
    try:
        pause(pipeline, seconds)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    started, found = time.monotonic(), []
    while further:
        until(pipeline, "recovery", lambda: any(each() for each in further.values()), MOST_SECONDS)
        for name in [name for name, each in further.items() if each()]:
            del further[name]
            again = pipeline.restarts()[name] - restarts[name]
            found.append(Recovery(name, time.monotonic() - started, again))
    return found


@contextmanager
def traffic_on(
    run: Run, servers: Servers, seconds: float, apart: Apart | None = None
) -> Iterator[tuple[Pipeline, Flow, Traffic]]:
    """Workers that have made progress, and usage for about so many seconds."""
    traffic = Traffic(int(RATE * seconds), run.seed, time.time_ns() // 1_000)
    with run.pipeline(servers, apart) as pipeline:
        pipeline.apply(traffic.documents())
        with Flow(pipeline, traffic, RATE) as flow:
            wait_until_all_advance(pipeline, MOST_SECONDS)
            yield pipeline, flow, traffic


def outcome(
    run: Run, pipeline: Pipeline, traffic: Traffic, flow: Flow, found: list[Recovery]
) -> Outcome:
    """The proof, and who took how long."""
    run.progress("settling")
    differences = prove(pipeline, expected(traffic, flow.sent), run.seed)
    slowest = {
        name: max((each for each in found if each.worker == name), key=lambda each: each.seconds)
        for name in WORKERS
    }
    note = "; ".join(str(each) for each in slowest.values())
    return Outcome(
        len(found), flow.sent, [each.seconds for each in found], differences, f"slowest: {note}"
    )


@scenario(
    "kafka silent",
    "a worker's connections to Kafka carry no byte any more",
    quick=False,
    needs="apache",
)
def kafka_silent(run: Run) -> Outcome:
    """Clients notice by their requests' time-outs, and connect again."""
    with kafka_apart(run) as (servers, proxies, apart):
        return silenced(run, servers, proxies, apart)


@scenario("redis silent", "a worker's connections to Redis carry no byte any more", quick=False)
def redis_silent(run: Run) -> Outcome:
    """What was asked is asked again, on a new connection."""
    with redis_apart(run) as (servers, proxies, apart):
        return silenced(run, servers, proxies, apart)


@scenario("broker stopped", "SIGSTOP of Kafka past every session", quick=False, needs="apache")
def broker_stopped(run: Run) -> Outcome:
    """Connections are accepted, nothing is answered; then everything is."""
    with on_own_kafka(run) as (servers, broker):
        return stopped(run, servers, broker.process)


@scenario("redis stopped", "SIGSTOP of Redis for longer than any call waits", quick=False)
def redis_stopped(run: Run) -> Outcome:
    """What it had taken in before is done after all, and asked again."""
    with on_own_redis(run) as (servers, store):
        return stopped(run, servers, store.process)
