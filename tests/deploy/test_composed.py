"""`docker compose up --wait` would end: each service gets healthy, as the users that are made.

Every service is run by its own command and environment, from what the image has installed, on an
Apache Kafka with compose's settings and a redis-server with exactly compose's users.
"""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.settings import load_settings
from projections.fold.connection import redis_client
from tests.bench.load import accounts, catalog
from tests.deploy.composed import Composed, services
from tests.deploy.container import Container
from tests.deploy.image import build_wheel, install
from tests.deploy.tools import ROOT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.apache,
    pytest.mark.slow,
    pytest.mark.timeout(1_200),
]
_AFTER: Final = ("exporter",)
"""It reads rows first when it starts: those that workers have opened by then."""
_FOLDED_SECONDS: Final = 300.0


class Up:
    """What `docker compose up --wait` leaves behind."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.composed = Composed(folder, programs)
        stays = (name for name, each in services().items() if self._stays(each))
        self.running = {name: self.composed.container(name) for name in stays}

    @staticmethod
    def _stays(service: dict[str, Any]) -> bool:
        return "build" in service and "HEALTH_URL" in (service.get("environment") or {})

    def start(self) -> None:
        """In the order of `depends_on`."""
        self._run("secrets")
        self.composed.redis.start()
        self.composed.kafka.start()
        self._run("topics")
        at_first = [each for name, each in self.running.items() if name not in _AFTER]
        for wave in (at_first, [self.running[name] for name in _AFTER]):
            for each in wave:
                each.start()
            for each in wave:
                each.wait_until_healthy()

    def restart(self) -> None:
        """What has ended, as `restart: unless-stopped`: a Redis that comes back older ends some."""
        ended = [each for each in self.running.values() if not each.runs()]
        for each in ended:
            each.start()
        for each in ended:
            each.wait_until_healthy()

    def stop(self) -> None:
        """Everything, servers last."""
        for each in self.running.values():
            each.stop()
        self.composed.kafka.stop()
        self.composed.redis.stop()

    def tool(self, name: str, *command: str) -> str:
        """What `docker compose run --rm NAME COMMAND…` says."""
        return _said(self.composed.container(name, *command))

    def inside(self, name: str, *command: str) -> str:
        """What `docker compose exec NAME drawdown COMMAND…` says."""
        return _said(self.composed.container(name, *command, program=("drawdown",)))

    def listed(self, token: str) -> list[str]:
        """The accounts that the API lists."""
        page = json.loads(self.get("api", "/v1/accounts?limit=100", token))
        return [each["account"] for each in page["accounts"]]

    def scanned(self) -> list[str]:
        """When the exporter has read each partition, as it tells Prometheus."""
        page = self.get("exporter", "/metrics").decode()
        return [line for line in page.splitlines() if line.startswith("drawdown_scan_timestamp")]

    def get(self, name: str, path: str, token: str = "") -> bytes:
        """What a service answers."""
        address = f"http://127.0.0.1:{self.composed.ports[name]}{path}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: bytes = answer.read()
            return found

    def _run(self, name: str) -> None:
        _said(self.composed.container(name))


def _said(container: Container) -> str:
    done = container.run()
    assert done.returncode == 0, (container.name, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("composed")
    programs = install(build_wheel(folder / "wheel"), folder / "drawdown")
    made = Up(folder, programs)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_every_service_that_stays_is_healthy(up: Up) -> None:
    """The fixture has waited for it: the image's health check, each with its own address."""
    assert sorted(up.running) == sorted(
        ["admission", "api", "balances", "exporter", "gateway", "rating", "webhooks"]
    )
    assert [name for name, each in up.running.items() if not each.runs()] == []


def test_an_account_is_made_and_listed(up: Up, tmp_path: Path) -> None:
    """Through every worker, and by the API's own reading of rows."""
    documents = tmp_path / "documents.yaml"
    made = [*catalog(), *accounts(1, time.time_ns() // 1_000)]
    documents.write_text(yaml.safe_dump_all(made))
    up.tool("command", "apply", str(documents))
    token = up.tool("keys", "create", "reading", "--scope", "read").strip()
    give_up = time.monotonic() + _FOLDED_SECONDS
    while "account-0" not in (listed := up.listed(token)):
        assert time.monotonic() < give_up, listed
        time.sleep(1.0)


def test_the_exporter_has_read_every_partition(up: Up) -> None:
    """It is healthy before it has."""
    give_up = time.monotonic() + _FOLDED_SECONDS
    while len(read := up.scanned()) < 4:
        assert time.monotonic() < give_up, read
        time.sleep(0.2)
    assert len(read) == 4


def test_alerts_are_subscribed_to_while_the_dispatcher_runs(up: Up) -> None:
    secret = up.tool("subscriptions", "add", "crm", "https://crm.example.com/alerts")
    assert secret.startswith("whsec_")
    listed = up.tool("subscriptions", "list")
    assert listed.startswith("crm  https://crm.example.com/alerts  enabled")
    assert up.inside("webhooks", "webhooks", "dead") == ""
    assert up.inside("webhooks", "webhooks", "replay", "crm").startswith("0 deliveries wait")
    assert up.running["webhooks"].runs()


def test_an_operator_reads_and_proves(up: Up) -> None:
    assert "balances" in up.tool("command")
    up.tool("command", "reconcile")


def test_redis_obeys_its_administrator_as_the_runbook_has_it(up: Up) -> None:
    """And what the runbook asks of him: backups, memory, what is slow."""
    runbook = (ROOT / "deploy" / "README.md").read_text()
    told = re.search(r"exec redis \\\n  sh -c '(.+?)' redis INFO memory ", runbook)
    assert told is not None
    assert "maxmemory:" in up.composed.told_in_redis(told[1], "INFO", "memory")
    for asked in (["BGREWRITEAOF"], ["SLOWLOG", "GET"], ["CONFIG", "SET", "maxmemory", "2gb"]):
        answer = up.composed.told_in_redis(told[1], *asked)
        assert not answer.startswith(("ERR", "NOAUTH", "NOPERM")), answer
    keys = up.composed.told_in_redis(told[1], "--scan", "--pattern", "drawdown:{0}:*")
    assert "drawdown:{0}:" in keys


def test_a_killed_redis_comes_back_with_what_it_had(up: Up) -> None:
    """It loads its file as a user whom compose's users switch off (redis/redis#14541)."""
    up.composed.redis.kill()
    up.composed.redis.start()
    said = up.composed.redis.log.read_text()
    assert "DB loaded from append only file" in said
    assert "AOF-loading-client" not in said
    up.tool("command", "reconcile")
    up.restart()


def test_nothing_was_refused_by_redis(up: Up) -> None:
    """Whatever was denied since it started, also of what has been up and well again."""
    given = up.composed.container("admission").environment
    settings = load_settings(
        **{
            name: given[f"DRAWDOWN_{name.upper()}"]
            for name in ("redis_url", "redis_username", "redis_password_file")
        }
    )
    with redis_client(settings.redis_access) as client:
        errors: dict[str, Any] = client.info("errorstats")
    assert "errorstat_NOPERM" not in errors
    assert "errorstat_WRONGPASS" not in errors


def test_nothing_was_written_but_to_volumes(up: Up) -> None:
    """The images' file systems are read-only; /tmp is each container's own."""
    assert up.composed.writes.outside(*up.composed.writable()) == []
