"""A deployment with its API, for tests: workers that are started again, first documents."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.servers.find import Servers
from ingest import Producer
from schemas.times import DAY, format_instant
from tests.projections.api.process import api
from tests.projections.delivery.processes import is_ready, until
from tests.system.pipeline import Pipeline, running

ACCOUNTS: Final = 12
_POLL_SECONDS: Final = 0.1


@dataclass
class World:
    """One deployment: its workers, the environment of its API processes, where one listens."""

    pipeline: Pipeline
    environment: dict[str, str]
    address: str

    def client(self, **options: Any) -> httpx.Client:
        """A client of the API."""
        return httpx.Client(base_url=self.address, timeout=60, **options)

    def apply(self, documents: Sequence[dict[str, Any]]) -> str:
        """Apply documents, see that none is refused, and give the position that has them."""
        with self.client() as client:
            answer = client.post(
                "/v1/documents", json=list(documents), headers={"prefer": "wait=30"}
            )
        assert answer.status_code == httpx.codes.OK, answer.text
        told = answer.json()
        assert {each["outcome"] for each in told["documents"]} == {"applied"}, told
        position: str = told["min_position"]
        return position

    def use(self, account: str, *ids: str) -> None:
        """Send usage of now, and wait until it is drawn."""
        self.send(account, *ids)
        self.pipeline.wait_until_settled(60)

    def send(self, account: str, *ids: str) -> None:
        """Send usage of now."""
        now = format_instant(time.time_ns() // 1_000)
        settings = self.pipeline.settings
        with Producer(settings.kafka, settings.topic_prefix) as producer:
            for each in ids:
                event = {"id": each, "source": "t", "type": "api.call", "subject": account}
                producer.send({**event, "time": now, "data": {}})


@contextmanager
def world(servers: Servers, prefix: str, logs: Path, **given: str) -> Iterator[World]:
    """Workers under `prefix`, started again when they end, and one API."""
    given = {"tick_busy_seconds": "1", "tick_idle_seconds": "1", **given}
    with running(servers, prefix, logs, None, **given) as pipeline:
        stopping = threading.Event()

        def keep() -> None:
            while not stopping.wait(_POLL_SECONDS):
                pipeline.poll()

        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        named = {
            "kafka": servers.kafka,
            "redis_url": servers.redis_url,
            "topic_prefix": prefix,
            "key_prefix": prefix,
        }
        environment = {f"DRAWDOWN_{name.upper()}": value for name, value in named.items()}
        try:
            with api(environment) as (_, address):
                ports = pipeline.ports.values()
                until(lambda: all(is_ready(port) for port in ports), "every worker is ready")
                yield World(pipeline, environment, address)
        finally:
            stopping.set()
            keeper.join()


def catalog() -> list[dict[str, Any]]:
    """One product, a credit a call."""
    rate = {"product": "calls", "price": {"model": "unit", "unit_price": "1"}}
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": [rate]}
    return [
        {
            "kind": "Product",
            "id": "calls",
            "meter": {"event_type": "api.call", "aggregation": "count"},
        },
        {"kind": "RateCard", "id": "standard", "versions": [version]},
    ]


def account(name: str, amount: str = "100", grants: int = 1, **more: Any) -> list[dict[str, Any]]:
    """An account and so many grants, each of `amount`."""
    since = format_instant(time.time_ns() // 1_000 - DAY)
    documents: list[dict[str, Any]] = [
        {"kind": "Account", "id": name, "rate_card": "standard", **more}
    ]
    documents += [
        {
            "kind": "Grant",
            "id": f"g{number}",
            "account": name,
            "type": "prepaid",
            "amount": amount,
            "effective_at": since,
        }
        for number in range(grants)
    ]
    return documents
