"""Every panel's query, asked of a real Prometheus that scrapes real workers under load."""

import json
import math
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

import pytest

from deploy.demo.sample import ACCOUNTS
from deploy.grafana.generate import FOLDER
from deploy.servers.find import Servers
from tests.deploy.monitoring.prometheus import binary
from tests.deploy.monitoring.query import ask, expression
from tests.deploy.monitoring.test_rules import rules
from tests.deploy.monitoring.watched import Watched, watched

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE_SECONDS: Final = 300.0
RATE: Final = "30s"


def queries() -> dict[str, str]:
    """Every query of the committed dashboards, by where it stands."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                found[f"{path.stem}: {panel['title']} {target['refId']}"] = target["expr"]
    return found


@pytest.fixture(scope="module")
def under_load(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    binary("prometheus")
    folder = tmp_path_factory.mktemp("watched")
    with watched(servers, f"w{time.time_ns():x}.", folder) as found:
        yield found


def values(found: Watched, expr: str) -> list[float]:
    """What a query gives now, without what is not a number."""
    answer = ask(found.prometheus, "query", query=expression(expr, RATE))
    every = [float(sample["value"][1]) for sample in answer["result"]]
    return [value for value in every if not math.isnan(value)]


def read(found: Watched, url: str) -> str:
    """A page; a worker that was killed is started again meanwhile."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        found.poll()
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            assert time.monotonic() < give_up, url
            time.sleep(0.2)


def wait_until_data(found: Watched, wanted: dict[str, str]) -> None:
    """Ask until all give data; the load goes on meanwhile."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    missing = dict(wanted)
    while missing and time.monotonic() < give_up:
        found.poll()
        missing = {where: expr for where, expr in missing.items() if not values(found, expr)}
        time.sleep(0.2)
    assert missing == {}, found.pipeline.said()


def test_every_panel_has_data(under_load: Watched) -> None:
    wanted = queries()
    assert len(wanted) > 40
    wait_until_data(under_load, wanted)


def test_api_and_webhooks_are_seen_at_work(under_load: Watched) -> None:
    """Their panels show series that begin at zero: so that something is counted is asked apart."""
    counted = (
        'drawdown_api_requests_total{route="/v1/check", status="200"}',
        'drawdown_api_commands_total{kind="place_hold", outcome="applied"}',
        'drawdown_webhook_deliveries_total{outcome="delivered"}',
        'drawdown_webhook_attempts_total{answer="2xx"}',
    )
    wait_until_data(under_load, {each: f"{each} > 0" for each in counted})


def test_every_recorded_series_has_data(under_load: Watched) -> None:
    """But for the share of Redis' memory, which has no limit here."""
    names = {rule["record"] for rule in rules("recording.yaml")} - {"drawdown:redis_memory:ratio"}
    wait_until_data(under_load, {name: name for name in names})


def test_a_worker_that_is_killed_is_counted_where_it_is_seen(under_load: Watched) -> None:
    assert under_load.pipeline.kill("rating")
    killed = 'drawdown_worker_ends_total{worker="rating", reason="killed"} > 0'
    running = 'drawdown_running_workers{worker="rating"} == 1'
    wait_until_data(under_load, {"killed": killed})
    wait_until_data(under_load, {"runs again": running})


def test_exemplars_name_places_in_the_journal(under_load: Watched) -> None:
    latency = "sum(drawdown_latency_seconds_bucket)"
    wait_until_data(under_load, {"latency": latency})
    now = time.time()
    found: list[Any] = []
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not found and time.monotonic() < give_up:
        under_load.poll()
        window = {"start": str(now - 600), "end": str(now + 600)}
        found = ask(under_load.prometheus, "query_exemplars", query=latency, **window)
        time.sleep(0.2)
    labels = [each["labels"] for series in found for each in series["exemplars"]]
    assert labels
    for each in labels:
        partition, offset, row = map(int, each["journal"].split("/"))
        assert list(each) == ["journal"]
        assert partition in under_load.pipeline.partitions
        assert offset >= 0
        assert row >= 0


def test_no_page_names_an_account(under_load: Watched) -> None:
    for url in under_load.pages:
        page = read(under_load, url)
        assert "drawdown_" in page
        assert not [account for account in ACCOUNTS if account in page]
