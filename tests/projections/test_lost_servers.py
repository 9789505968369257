"""The API and the dispatcher, whose Redis and Kafka are gone, count what they meet as their own."""

import urllib.request
from pathlib import Path
from typing import Final

import httpx
import pytest

from deploy.provision import create_topics
from deploy.servers.find import Servers
from projections.metrics.series import KAFKA_REASONS, REDIS_REASONS
from tests.projections.api.process import api, environment
from tests.projections.delivery.processes import Place, until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PREFIX: Final = "t."
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0"


def errors(address: str, server: str, stage: str) -> dict[str, float]:
    """What was met, by reason."""
    request = urllib.request.Request(f"{address}/metrics", headers={"accept": OPEN_METRICS})
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        lines = answer.read().decode().splitlines()
    begin = f'drawdown_{server}_errors_total{{reason="'
    found = {}
    for line in lines:
        if line.startswith(begin) and f'stage="{stage}"' in line:
            found[line.removeprefix(begin).partition('"')[0]] = float(line.split()[-1])
    return found


def meets(address: str, server: str, stage: str, reason: str) -> None:
    """Wait until it counts such an error."""
    until(lambda: errors(address, server, stage)[reason] > 0, f"{server} {reason} of {stage}")


def test_what_is_met_is_counted(own_servers: Servers, tmp_path: Path) -> None:
    own = own_servers
    assert own.store is not None
    assert own.broker is not None
    create_topics(own.kafka, PREFIX, 1, 1)
    place = Place(own.kafka, own.redis_url, PREFIX, tmp_path / "subscriptions.json")
    place.command("subscriptions", "add", "crm", "https://crm.example.com/")
    given = environment(own.kafka, own.redis_url, PREFIX)
    with api(given) as (_, asked), place.dispatcher() as (_, port):
        both = {"api": asked, "webhooks": f"http://127.0.0.1:{port}"}
        for stage, address in both.items():
            assert errors(address, "redis", stage).keys() == set(REDIS_REASONS), stage
            assert errors(address, "kafka", stage).keys() == set(KAFKA_REASONS), stage
            assert not any(errors(address, "redis", stage).values()), stage
        own.store.kill()
        balance = httpx.get(f"{asked}/v1/accounts/acme/balance", timeout=30)
        assert balance.status_code == httpx.codes.SERVICE_UNAVAILABLE
        for stage, address in both.items():
            meets(address, "redis", stage, "connection")
        own.broker.kill()
        account = {"kind": "Account", "id": "acme", "rate_card": "standard"}
        sent = httpx.post(f"{asked}/v1/documents", json=account, timeout=30)
        assert sent.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert errors(asked, "kafka", "api")["unavailable"] == 1
        for stage, address in both.items():
            meets(address, "kafka", stage, "transport")
