"""The consumers that the README shows, run as they are shown but for addresses and names."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from deploy.provision import create_topics
from deploy.servers.process import answers, free_port
from tests.projections.delivery.processes import Place, alert, until
from tests.test_readme import README

EXAMPLES: Final = re.findall(
    r"```python\n(.*?)```", README.partition("## Alerts out")[2], re.DOTALL
)
KAFKA, WEBHOOK = EXAMPLES[:2]


@contextmanager
def running(program: str, output: Path, **replaced: str) -> Iterator[None]:
    """A program of the README, with some of its texts replaced."""
    for old, new in replaced.items():
        assert old in program, old
        program = program.replace(old, new)
    with output.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-u", "-c", program], stdout=file)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("program", [KAFKA, WEBHOOK])
def test_each_is_ten_lines(program: str) -> None:
    assert len([line for line in program.splitlines() if line.strip()]) == 10


@pytest.fixture
def place(kafka: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Place:
    """Fresh topics."""
    create_topics(kafka, topic_prefix, 2, 1)
    return Place(kafka, redis_url, topic_prefix, tmp_path / "subscriptions.json")


def shown(output: Path) -> list[str]:
    """The accounts of the alerts that the program printed."""
    lines = output.read_text().splitlines(keepends=True)
    whole = (line for line in lines if line.endswith("\n"))
    return sorted(line.split()[1] for line in whole if "credits." in line)


@pytest.mark.integration
def test_the_consumer_of_kafka_prints_each_alert_once(place: Place, tmp_path: Path) -> None:
    output = tmp_path / "out"
    topic = f"{place.prefix}metering.alerts.v1"
    replaced = {
        "127.0.0.1:9092": place.kafka,
        "metering.alerts.v1": topic,
        '"mail"': f'"{place.prefix}mail"',
    }
    place.write(alert(1, "a"), alert(2, "b"), alert(1, "a"), alert(3, "c"))
    with running(KAFKA, output, **replaced):
        until(lambda: shown(output) == ["a", "b", "c"], "three alerts")
        place.write(alert(2, "b"), alert(4, "d"))
        until(lambda: shown(output) == ["a", "b", "c", "d"], "the fourth, and no repeat")


@pytest.mark.integration
def test_the_receiver_of_webhooks_prints_each_alert_once(place: Place, tmp_path: Path) -> None:
    port, output = free_port(), tmp_path / "out"
    url = f"http://127.0.0.1:{port}/alerts"
    secret = place.command("subscriptions", "add", "crm", url, "--allow-private").strip()
    with running(WEBHOOK, output, **{"whsec_…": secret, "port=8000": f"port={port}"}):
        until(lambda: answers(port), "the receiver")
        with place.dispatcher():
            place.write(alert(1, "a"), alert(2, "b"))
            until(lambda: shown(output) == ["a", "b"], "two alerts")
            since = "2026-01-01T00:00:00Z"
            place.command("webhooks", "replay", "crm", "--all", "--since", since)
            place.write(alert(3, "c"))
            until(lambda: shown(output) == ["a", "b", "c"], "the third, and no repeat")
