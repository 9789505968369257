"""The reading commands beside real workers, on real servers."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from deploy.reading import command
from deploy.reading.lag import measure
from deploy.reading.surroundings import surroundings
from deploy.servers.find import Servers
from deploy.settings import Settings, load_settings
from deploy.up import running_pipeline
from ingest import Producer
from ingest.documents import send_documents
from projections.balances.stage import STAGE as BALANCES
from projections.rates.rows import STAGE as RATING
from schemas.documents import Document, parse_document
from tests.bench.load import accounts, catalog, usage

pytestmark = [pytest.mark.integration, pytest.mark.slow]
EVENTS = 3_000
ACCOUNTS = 40
PARTITIONS = 2
SETTLE_SECONDS = 300.0


@pytest.fixture
def settings(servers: Servers, topic_prefix: str, tmp_path: Path) -> Iterator[Settings]:
    """A deployment with its workers running, and usage with repeats settled in it."""
    given = {
        "kafka": servers.kafka,
        "redis_url": servers.redis_url,
        "topic_prefix": topic_prefix,
        "key_prefix": topic_prefix,
        "partitions": str(PARTITIONS),
        "health_port": "0",
    }
    environment = {f"DRAWDOWN_{name.upper()}": value for name, value in given.items()}
    settings = load_settings(**given)
    with running_pipeline(servers, environment, tmp_path) as supervisor:
        send(settings, seed=1)
        settle(settings, supervisor.poll)
        yield settings


def send(settings: Settings, seed: int) -> None:
    """Documents, then usage of which some repeats."""
    now = time.time_ns() // 1_000
    documents = [parsed(each) for each in (*catalog(), *accounts(ACCOUNTS, now))]
    send_documents(documents, settings.kafka, settings.topic_prefix)
    with Producer(settings.kafka, topic_prefix=settings.topic_prefix) as producer:
        for account, record in usage(EVENTS, ACCOUNTS, now, seed):
            producer.send_encoded(account, record)


def parsed(document: dict[str, Any]) -> Document:
    """A valid document."""
    found = parse_document(document)
    assert not isinstance(found, list), found
    return found


def settle(settings: Settings, poll: Any = lambda: None) -> None:
    """Wait until every stage has read all there is: a record of lag is a frame of many events."""
    around, give_up = surroundings(settings), time.monotonic() + SETTLE_SECONDS
    quiet = 0
    while quiet < 3:
        lags = measure(around)
        usage_read = sum(each.position for each in lags if each.topic.startswith("metering.usage"))
        done = usage_read >= EVENTS and not any(each.records for each in lags)
        quiet += done
        assert time.monotonic() < give_up, lags
        poll()
        time.sleep(0.2)


def run(settings: Settings, *arguments: str) -> tuple[int, str]:
    """A command as it is typed; its exit code and what it prints."""
    app = typer.Typer()
    command.register(app, lambda: settings)
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout


def test_reading_beside_running_workers(settings: Settings) -> None:
    """One deployment, every command: they agree, and rebuilding changes nothing."""
    code, printed = run(settings, "reconcile", "--json")
    report = json.loads(printed)
    assert (code, report["holds"]) == (0, True), printed
    figures = {each["invariant"]: each["figures"] for each in report["invariants"]}
    assert figures["I1"]["accepted"] + figures["I1"]["duplicate"] == EVENTS
    assert figures["I1"]["lines"] == 2 * figures["I1"]["accepted"]
    assert figures["I3"]["grants"] == ACCOUNTS, printed
    assert figures["I6"]["alerts"] == figures["I6"]["expected"] >= ACCOUNTS

    code, printed = run(settings, "alerts", "--json", "--account", "account-1")
    issued = [json.loads(line) for line in printed.splitlines()]
    assert [event["type"] for event in issued][:1] == ["credits.grant.issued"]
    assert {event["subject"] for event in issued} == {"account-1"}

    code, before = run(settings, "balance", "account-0", "--json")
    assert (code, json.loads(before)["grants"][0]["issued"]) == (0, "100000000")
    assert run(settings, "balance", "nobody")[0] == 1
    lag = run(settings, "lag")[1]
    assert "records of lag" in lag
    assert "webhooks" not in lag, "no dispatcher ever ran"

    code, printed = run(settings, "rebuild")
    assert code == 0
    assert printed.count("byte-identical") == 2 * PARTITIONS, printed
    around = surroundings(settings)
    namespaces = {
        around.snapshots.take(number, stage, ()).namespace
        for number in range(PARTITIONS)
        for stage in (RATING, BALANCES)
    }
    assert namespaces == {"2"}
    after = json.loads(run(settings, "balance", "account-0", "--json")[1])
    assert after["grants"] == json.loads(before)["grants"]
