"""What each long-running process logs: from its first line on, when, who, and how bad it is."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from deploy.provision import create_topics
from deploy.servers.find import Servers
from deploy.servers.process import free_port
from projections.delivery.files import save_subscriptions
from projections.delivery.subscriptions import Subscriptions
from tests.projections.delivery.processes import until

pytestmark = pytest.mark.integration

_PATIENCE: Final = 60.0
_LINE: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?P<name>[a-z]+) (?P<level>[A-Z]+) (?P<said>.+)",
    re.ASCII,
)
PROCESSES: Final = {
    ("worker", "admission"): "starting",
    ("worker", "rating"): "starting",
    ("worker", "balances"): "starting",
    ("gateway",): "taking usage at",
    ("api",): "serving the API at",
    ("exporter",): "reading all rows",
    ("webhooks",): "starting",
}
"""What each says first."""


@pytest.fixture
def given(servers: Servers, topic_prefix: str, tmp_path: Path) -> dict[str, str]:
    """Settings of a deployment of its own."""
    create_topics(servers.kafka, topic_prefix, 2, 1)
    save_subscriptions(tmp_path / "subscriptions.json", Subscriptions())
    return {
        "DRAWDOWN_KAFKA": servers.kafka,
        "DRAWDOWN_REDIS_URL": servers.redis_url,
        "DRAWDOWN_TOPIC_PREFIX": topic_prefix,
        "DRAWDOWN_KEY_PREFIX": topic_prefix,
        "DRAWDOWN_WEBHOOKS_FILE": str(tmp_path / "subscriptions.json"),
    }


def ready(port: int) -> bool:
    """Whether the process there says that it is ready."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=_PATIENCE).is_success
    except httpx.TransportError:
        return False


def answered_to(port: int, asked: bytes) -> bytes:
    """All that is answered until the other side ends the connection."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(asked)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@contextmanager
def running(command: tuple[str, ...], given: dict[str, str], log: Path) -> Iterator[int]:
    """The process, and the port where it says whether it is ready."""
    port = free_port()
    ports = {"DRAWDOWN_GATEWAY_PORT", "DRAWDOWN_API_PORT", "DRAWDOWN_HEALTH_PORT"}
    environment = {**os.environ, **given, **dict.fromkeys(ports, str(port))}
    with (
        log.open("wb") as to,
        subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", *command], env=environment, stdout=to, stderr=to
        ) as process,
    ):
        try:
            yield port
        finally:
            process.terminate()


def lines_of(command: tuple[str, ...], log: Path) -> list[re.Match[str]]:
    """Each line, of which none has another form or another name."""
    lines = [(_LINE.fullmatch(line), line) for line in log.read_text().splitlines()]
    assert [line for found, line in lines if found is None] == []
    told = [found for found, _ in lines if found is not None]
    assert told, "it says nothing"
    assert {found["name"] for found in told} == {command[-1]}
    return told


@pytest.mark.parametrize("command", PROCESSES, ids=" ".join)
def test_every_line_says_when_and_who(
    command: tuple[str, ...], given: dict[str, str], tmp_path: Path
) -> None:
    """And the first is INFO; what anybody may ask adds none."""
    log = tmp_path / "log"
    with running(command, given, log) as port:
        until(lambda: ready(port), "it is ready")
        httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=_PATIENCE)
        answered_to(port, b"\x16\x03\x01 no HTTP at all\r\n\r\n")
    told = lines_of(command, log)
    assert not [found[0] for found in told if "HTTP request" in found["said"]]
    assert told[0]["level"] == "INFO"
    assert told[0]["said"].startswith(PROCESSES[command])


@pytest.mark.parametrize("command", PROCESSES, ids=" ".join)
def test_a_broker_that_is_away_is_told_in_a_few_lines_of_the_same_form(
    command: tuple[str, ...], given: dict[str, str], tmp_path: Path
) -> None:
    """Librdkafka itself tells of it in a form of its own, 20 times a second."""
    log = tmp_path / "log"
    nobody = {**given, "DRAWDOWN_KAFKA": f"127.0.0.1:{free_port()}"}
    with running(command, nobody, log):
        until(lambda: "Kafka client: " in log.read_text(), "it says so")
        time.sleep(1)
    told = [found["said"] for found in lines_of(command, log)]
    assert len([said for said in told if "Kafka client: " in said]) <= 5, told


def test_so_are_the_last_words(given: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(("exporter",), {**given, "DRAWDOWN_TOPIC_PREFIX": "absent."}, log):
        until(lambda: "drawdown topics" in log.read_text(), "it says what is missing")
    last = lines_of(("exporter",), log)[-1]
    assert (last["level"], last["said"][:10]) == ("ERROR", "drawdown: ")
