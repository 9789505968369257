"""Ends of workers are counted where nothing supervises them: in a container, in a pod."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from deploy.provision import create_topics
from deploy.reading.surroundings import surroundings
from deploy.servers.find import Servers
from deploy.servers.process import answers, free_port
from deploy.settings import load_settings
from projections.rates.rows import STAGE as RATING
from schemas.errors import Fenced
from tests.projections.api.process import environment

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE_SECONDS: Final = 300.0
FENCED: Final = 'drawdown_worker_ends_total{reason="fenced",worker="rating"} '
LOOK_SECONDS: Final = 20.0
"""The exporter looks each 5 seconds."""


@contextmanager
def process(given: dict[str, str], log: Path, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of `drawdown` that nothing starts again; killed with the context."""
    with log.open("ab") as output:
        made = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", *command],
            env={**os.environ, **given},
            stdout=output,
            stderr=output,
        )
    try:
        yield made
    finally:
        made.kill()
        made.wait()


def until(what: str, true: Callable[[], bool], log: Path) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < give_up, f"{what}\n{log.read_text()[-3_000:]}"
        time.sleep(0.1)


def at_once(client: redis.Redis, ask: Callable[[Any], object]) -> list[Any]:
    """The answers to what is asked in one transaction: rows and position are of one moment."""
    with client.pipeline(transaction=True) as asked:
        ask(asked)
        found: list[Any] = asked.execute()
    return found


def restored(asked: Any, back: list[tuple[bytes, bytes]]) -> None:
    """Ask for keys as they were dumped."""
    for key, value in back:
        asked.restore(key, 0, value, replace=True)


def test_a_fenced_worker_is_counted_without_a_supervisor(
    servers: Servers, topic_prefix: str, tmp_path: Path
) -> None:
    """Redis comes back older under a rating worker, which is fenced; nobody saw it end.

    A machine that stands still for 2 seconds may lose one such count: then it is fenced again.
    """
    given = environment(servers.kafka, servers.redis_url, topic_prefix)
    settings = load_settings(
        kafka=servers.kafka,
        redis_url=servers.redis_url,
        topic_prefix=topic_prefix,
        key_prefix=topic_prefix,
        partitions="1",
    )
    create_topics(settings.kafka_access, topic_prefix, 1, 1)
    around = surroundings(settings)
    shown, log = free_port(), tmp_path / "log"

    def offset() -> int:
        return around.snapshots.take(0, RATING, ()).position.offset

    def further() -> Callable[[], bool]:
        at = offset()
        return lambda: offset() > at

    def counted() -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{shown}/metrics", timeout=30) as answer:
            page = answer.read().decode()
        return sum(float(each.split()[-1]) for each in page.splitlines() if each.startswith(FENCED))

    with ExitStack() as stack:
        client = stack.enter_context(redis.Redis.from_url(servers.redis_url))
        exporter = {**given, "DRAWDOWN_HEALTH_PORT": str(shown)}
        stack.enter_context(process(exporter, log, "exporter"))
        admission = {**given, "DRAWDOWN_HEALTH_PORT": "0"}
        stack.enter_context(process(admission, log, "worker", "admission"))
        until("the exporter listens", lambda: answers(shown), log)
        assert counted() == 0

        def fence() -> None:
            with process(admission, log, "worker", "rating") as rating:
                until("rating goes on", further(), log)
                keys = list(client.scan_iter(f"{topic_prefix}:{{0}}:rating*"))
                older = at_once(client, lambda asked: [asked.dump(key) for key in keys])
                until("rating goes on", further(), log)
                back = list(zip(keys, older, strict=True))
                at_once(client, lambda asked: restored(asked, back))
                assert rating.wait(PATIENCE_SECONDS) == Fenced.exit_code

        give_up = time.monotonic() + PATIENCE_SECONDS
        while not counted():
            assert time.monotonic() < give_up, log.read_text()[-3_000:]
            fence()
            look_until = time.monotonic() + LOOK_SECONDS
            while not counted() and time.monotonic() < look_until:
                time.sleep(0.2)
