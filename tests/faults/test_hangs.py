"""A worker that is kept out of its group ends; whoever looks at the log asks a second time."""

import os
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka.admin import AdminClient

from deploy.provision import create_topics
from deploy.servers.apache import ApacheKafka
from deploy.servers.embedded import Tansu
from deploy.servers.find import Servers
from deploy.servers.process import LOOPBACK, free_port
from deploy.supervisor import worker
from deploy.workers import WORKERS
from processors.admission.kafka import EndOffsets
from projections.fold.connection import kafka_client
from projections.fold.log import Log
from schemas.errors import LogUnavailable, ProgressError
from schemas.topics import USAGE
from tests.faults.proxy import Direction, Proxy

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
PROGRESS_SECONDS: Final = 20
END_SECONDS: Final = 240
LED_SECONDS: Final = 20


def broker_behind(proxy: Proxy, port: int, kind: str, folder: Path) -> ApacheKafka | Tansu:
    """A broker whose clients come through the proxy."""
    if kind == "embedded":
        return Tansu(log=folder / "kafka.log", port=port, advertised=proxy.port)
    return ApacheKafka(folder, log=folder / "kafka.log", advertised={port: proxy.port})


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_that_never_gets_into_its_group_ends(
    name: str, servers: Servers, topic_prefix: str, tmp_path: Path
) -> None:
    """From the question for the group's coordinator on, every byte to Kafka is held."""
    port = free_port()
    with Proxy(port) as proxy, broker_behind(proxy, port, servers.kind, tmp_path / "kafka"):
        kafka = f"{LOOPBACK}:{proxy.port}"
        create_topics(kafka, topic_prefix, 1, 1)
        trap = proxy.trap(Direction.REQUESTS, f"{topic_prefix}{name}".encode())
        environment = {
            "DRAWDOWN_KAFKA": kafka,
            "DRAWDOWN_REDIS_URL": servers.redis_url,
            "DRAWDOWN_TOPIC_PREFIX": topic_prefix,
            "DRAWDOWN_KEY_PREFIX": topic_prefix,
            "DRAWDOWN_PROGRESS_SECONDS": str(PROGRESS_SECONDS),
            "DRAWDOWN_HEALTH_PORT": "0",
        }
        code = ended(name, environment)
        assert trap.sprung.is_set()
        assert code == ProgressError.exit_code


def test_a_silent_connection_is_given_up(
    servers: Servers, topic_prefix: str, tmp_path: Path
) -> None:
    """What was asked is asked again, on another connection, and so answered in time."""
    port = free_port()
    with Proxy(port) as proxy, broker_behind(proxy, port, servers.kind, tmp_path / "kafka"):
        kafka = f"{LOOPBACK}:{proxy.port}"
        create_topics(kafka, topic_prefix, 1, 1)
        log = Log(kafka, topic_prefix)
        for ask in (log.topic_id, log.partitions, lambda topic: log.bounds(topic, [0])):
            known = ask(USAGE.name)
            proxy.silence()
            assert ask(USAGE.name) == known


def test_no_answer_about_the_ends_is_no_end(
    servers: Servers, topic_prefix: str, tmp_path: Path
) -> None:
    """The client tells a time-out as an offset of -1001, and of no error."""
    port = free_port()
    with Proxy(port) as proxy, broker_behind(proxy, port, servers.kind, tmp_path / "kafka"):
        kafka = f"{LOOPBACK}:{proxy.port}"
        create_topics(kafka, topic_prefix, 1, 1)
        admin, place = AdminClient(kafka_client(kafka)), (topic_prefix + USAGE.name, 0)
        give_up = time.monotonic() + LED_SECONDS
        while not (ends := ends_of(admin, place)) and time.monotonic() < give_up:
            time.sleep(0.1)
        assert ends == {place: 0}
        proxy.hold()
        with pytest.raises(LogUnavailable):
            EndOffsets(admin, [place]).answer()


def ends_of(admin: AdminClient, place: tuple[str, int]) -> dict[tuple[str, int], int]:
    """The answer; none while nobody leads the partition, which was created just now."""
    try:
        return EndOffsets(admin, [place]).answer()
    except LogUnavailable:
        return {}


def ended(name: str, environment: dict[str, str]) -> int:
    """Run a worker until it ends; its exit code, or that of the SIGKILL which ended it."""
    child = worker(name, environment)
    everything = {**os.environ, **child.environment}
    with subprocess.Popen(child.command, env=everything) as process:
        try:
            return process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
