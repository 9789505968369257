"""Loads that are lopsided, stand still or crawl: results stay exact and memory bounded."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Event, Thread
from typing import Final

from deploy.servers.process import ServerProcess
from deploy.workers import WORKERS
from ingest import Producer
from tests.faults.flow import Flow
from tests.faults.proof import expected, prove
from tests.faults.scenario import LeftOut, Outcome, Run, scenario
from tests.faults.waiting import advanced, pause, until
from tests.memory import resident_kilobytes
from tests.system.pipeline import Pipeline
from tests.system.traffic import Traffic

MOST_MEGABYTES: Final = 512
"""What no worker may exceed, however much waits for it."""
PATIENCE_SECONDS: Final = 300
STOPPED_SECONDS: Final = 0.3
RUNNING_SECONDS: Final = 0.1


@scenario(
    "one hot account",
    "one account holds 90 % of the traffic, each worker killed meanwhile",
    quick=False,
)
def hot_account(run: Run) -> Outcome:
    """Its partition has nearly all the work; its lines pass every threshold and every grant."""
    rate, seconds = run.pick(3_000, 1_000), run.pick(120, 15)
    traffic = Traffic(rate * seconds, run.seed, time.time_ns() // 1_000, hot=0.9)
    recoveries = []
    with run.pipeline() as pipeline:
        pipeline.apply(traffic.documents())
        with Flow(pipeline, traffic, rate) as flow:
            while not flow.ended:
                for name in WORKERS:
                    pause(pipeline, 1)
                    run.progress(f"killing {name}, {flow.sent:,} sent")
                    further = advanced(pipeline, name)
                    pipeline.kill(name)
                    recoveries.append(until(pipeline, name, further, PATIENCE_SECONDS))
        differences = prove(pipeline, expected(traffic, flow.sent), run.seed)
        share = traffic.tokens["a0"] * 100 // traffic.tokens.total()
    note = f"{share} % of the tokens, {len(recoveries)} kills"
    return Outcome(1, flow.sent, recoveries, differences, note)


@scenario("slow consumer", "each worker stands still, producers go on, it catches up", quick=False)
def slow_consumer(run: Run) -> Outcome:
    """None may hold more than a bound, however much waits for it."""
    if resident_kilobytes(os.getpid()) is None:
        raise LeftOut("memory is read from Linux's /proc")
    each = run.pick(500_000, 40_000)
    traffic = Traffic(each * len(WORKERS), run.seed, time.time_ns() // 1_000)
    peaks: dict[str, int] = {}
    recoveries = []
    with run.pipeline() as pipeline:
        pipeline.apply(traffic.documents())
        pipeline.wait_until_settled(PATIENCE_SECONDS)
        records = traffic.records()
        for name in WORKERS:
            run.progress(f"{name} stands still")
            pipeline.signal(name, signal.SIGSTOP)
            with Producer(pipeline.settings.kafka, pipeline.settings.topic_prefix) as producer:
                for account, value in islice(records, each):
                    producer.send_encoded(account, value)
            pipeline.signal(name, signal.SIGCONT)
            run.progress(f"{name} catches up")
            started = time.monotonic()
            with sampled(pipeline, peaks):
                pipeline.wait_until_settled(PATIENCE_SECONDS)
            recoveries.append(time.monotonic() - started)
        differences = prove(pipeline, expected(traffic, traffic.count), run.seed)
    differences += _too_large(peaks)
    note = ", ".join(f"{name} at most {peak // 1024} MB" for name, peak in peaks.items())
    return Outcome(len(WORKERS), traffic.count, recoveries, differences, note)


@scenario("slow servers", "broker and Redis stop three quarters of the time", quick=False)
def slow_servers(run: Run) -> Outcome:
    """Alerts, ledger and commits go out slowly: what comes in must wait, in bounded memory."""
    seconds, rate = run.pick(60, 10), 2_000
    traffic = Traffic(seconds * rate * 2, run.seed, time.time_ns() // 1_000)
    peaks: dict[str, int] = {}
    recoveries, struck = [], 0
    with run.own_servers() as servers, run.pipeline(servers) as pipeline:
        assert servers.broker is not None
        assert servers.store is not None
        pipeline.apply(traffic.documents())
        with Flow(pipeline, traffic, rate) as flow, sampled(pipeline, peaks):
            for process in (servers.broker.process, servers.store.process):
                run.progress(f"{process.name} crawls")
                with crawling(process) as times:
                    pause(pipeline, seconds)
                started = time.monotonic()
                for name in WORKERS:
                    until(pipeline, name, advanced(pipeline, name), PATIENCE_SECONDS)
                recoveries.append(time.monotonic() - started)
                struck += times()
        differences = prove(pipeline, expected(traffic, flow.sent), run.seed)
    differences += _too_large(peaks)
    note = ", ".join(f"{name} at most {peak // 1024} MB" for name, peak in peaks.items())
    return Outcome(struck, flow.sent, recoveries, differences, note)


def _too_large(peaks: dict[str, int]) -> Iterator[str]:
    for name, peak in peaks.items():
        if peak > MOST_MEGABYTES * 1024:
            yield f"{name} held {peak // 1024} MB, at most {MOST_MEGABYTES} MB are allowed"


@contextmanager
def sampled(pipeline: Pipeline, peaks: dict[str, int]) -> Iterator[None]:
    """Note the most kilobytes that each worker holds meanwhile, ten times a second."""

    def look() -> None:
        for name in WORKERS:
            pid = pipeline.pid(name)
            held = None if pid is None else resident_kilobytes(pid)
            peaks[name] = max(peaks.get(name, 0), held or 0)

    with _often(look, 0.1):
        yield


@contextmanager
def crawling(process: ServerProcess) -> Iterator[Callable[[], int]]:
    """SIGSTOP and SIGCONT in turn; gives how often it was stopped."""
    stops = 0

    def strike() -> None:
        nonlocal stops
        if (pid := process.pid) is None:
            return
        os.kill(pid, signal.SIGSTOP)
        time.sleep(STOPPED_SECONDS)
        os.kill(pid, signal.SIGCONT)
        stops += 1

    with _often(strike, RUNNING_SECONDS):
        yield lambda: stops


@contextmanager
def _often(call: Callable[[], None], seconds: float) -> Iterator[None]:
    """`call` in a thread of its own, with pauses of so many seconds."""
    stopping = Event()

    def run() -> None:
        while not stopping.wait(seconds):
            call()

    thread = Thread(target=run, name="often", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
