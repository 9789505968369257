"""Redis killed, cut short, emptied, put back to what it was, and cut off before it answers."""

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import redis

from deploy.servers.redis import RedisServer
from tests.faults.disturbed import on_own_redis, strike_under_traffic
from tests.faults.proxy import Direction, Proxy
from tests.faults.scenario import Outcome, Run, scenario
from tests.faults.waiting import pause
from tests.system.pipeline import Pipeline

CUT_EVERY: Final = 2
"""Of the kills, one in so many loses the end of the file too."""
MOST_CUT: Final = 200_000
CLAIMS: Final = "*:claims*"
STATE: Final = ("*}:rating*", "*}:balances*")
HELD_EVERY: Final = 10
"""Of the lost answers, one in so many is waited for until the client gives up."""
ANSWER_SECONDS: Final = 30.0


@scenario("redis killed", "kill -9 of Redis, AOF flushed each second; half lose the file's end too")
def redis_killed(run: Run) -> Outcome:
    """Rows and positions, claims and vector come back as of one moment, or of one before."""
    rng = run.random("redis killed")
    with on_own_redis(run) as (servers, store):

        def strike(_pipeline: Pipeline, number: int) -> None:
            store.kill()
            if number % CUT_EVERY:
                cut_tail(store.folder, rng)
            store.start()

        return strike_under_traffic(
            run, servers, strike, times=run.pick(20, 2), seconds_between=(0.5, 4)
        )


def cut_tail(folder: Path, rng: random.Random) -> int:
    """Take up to MOST_CUT bytes off the end of the append-only file; how many."""
    last = max((folder / "appendonlydir").glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)
    size = last.stat().st_size
    cut = rng.randint(1, min(MOST_CUT, size))
    with last.open("r+b") as file:
        file.truncate(size - cut)
    return cut


def flushed(run: Run, *patterns: str) -> Outcome:
    """Delete the keys under running workers, as by a mistaken hand."""
    with on_own_redis(run) as (servers, store), redis.Redis.from_url(store.address) as client:

        def strike(_pipeline: Pipeline, _number: int) -> None:
            found = [key for pattern in patterns for key in client.scan_iter(pattern, count=10_000)]
            assert found, patterns
            client.delete(*cast("list[bytes]", found))

        return strike_under_traffic(
            run, servers, strike, times=run.pick(3, 1), seconds_between=(2, 6)
        )


@scenario("claims flushed", "all claims and admission's position deleted from Redis", quick=False)
def claims_flushed(run: Run) -> Outcome:
    """Admission replays raw from its beginning: the same claims, and frames that readers skip."""
    return flushed(run, CLAIMS)


@scenario("state flushed", "rows and positions of the stages deleted from Redis", quick=False)
def state_flushed(run: Run) -> Outcome:
    """Both fold their log again from its beginning: the same rows, and outputs that are skipped."""
    return flushed(run, *STATE)


@scenario("redis flushed", "claims and state deleted from Redis", quick=False)
def redis_flushed(run: Run) -> Outcome:
    """Everything is made again from the log."""
    return flushed(run, CLAIMS, *STATE)


@scenario("stale snapshot", "Redis's folder put back to what it was a while before", quick=False)
def stale_snapshot(run: Run) -> Outcome:
    """Every stage is older together: it seeks back and replays."""
    with on_own_redis(run) as (servers, store):
        kept = run.folder / "snapshot"

        def keep(_pipeline: Pipeline, _number: int) -> None:
            shutil.copytree(store.folder, kept)

        def strike(_pipeline: Pipeline, _number: int) -> None:
            store.kill()
            put_back(store, kept)
            store.start()

        return strike_under_traffic(
            run,
            servers,
            strike,
            times=run.pick(3, 1),
            seconds_between=run.pick((30, 60), (5, 10)),
            prepare=keep,
        )


def put_back(store: RedisServer, kept: Path) -> None:
    """Restore the folder of a Redis that does not run."""
    shutil.rmtree(store.folder)
    shutil.move(kept, store.folder)


@scenario("answers lost", "Redis does what it is asked, but its answer never arrives", quick=False)
def answers_lost(run: Run) -> Outcome:
    """What is asked again has happened already, and is known to have."""
    with on_own_redis(run) as (servers, store), Proxy(store.port) as proxy:
        behind = f"redis://127.0.0.1:{proxy.port}/0"

        def strike(pipeline: Pipeline, number: int) -> None:
            proxy.hold(Direction.REPLIES)
            assert proxy.wait_held(Direction.REPLIES, ANSWER_SECONDS), pipeline.said()
            if number % HELD_EVERY == HELD_EVERY - 1:
                pause(pipeline, 15)  # longer than any client waits
            proxy.cut()
            proxy.release()

        return strike_under_traffic(
            run,
            replace(servers, redis_url=behind),
            strike,
            times=run.pick(50, 10),
            seconds_between=(0.05, 1),
        )
