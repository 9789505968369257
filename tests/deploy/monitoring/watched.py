"""A whole deployment under a real Prometheus, with the demo's accounts and usage flowing.

Workers, exporter, gateway, API, dispatcher of webhooks and supervisor on real servers; all of them
are scraped.
"""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.demo.sample import Day, documents
from deploy.servers.find import Servers
from deploy.servers.process import free_port
from deploy.supervisor import command, metrics_registry
from ingest import Producer
from ingest.documents import load_documents, send_documents
from projections.health import WorkerStatus, serve_health
from schemas.documents import parse_document
from schemas.times import DAY, format_instant
from tests.deploy.monitoring.prometheus import scraping
from tests.ingest.gateway.process import gateway
from tests.projections.api.process import api, environment
from tests.projections.delivery.processes import Place, receiver
from tests.projections.web.problems import once_there
from tests.system.pipeline import Pipeline, running

_EVENTS: Final = 500_000
_BURST: Final = 200
_PAUSE_SECONDS: Final = 0.25
"""Between bursts: some hundred events a second, so that the tests' machine can breathe."""
_POSTED: Final = 20
_ASK_EVERY: Final = 4
"""Bursts: then the API is asked, too. A grant it issues is an alert, and so a webhook."""


@dataclass
class Watched:
    """A pipeline under load, and the address of the Prometheus that watches it."""

    pipeline: Pipeline
    prometheus: str
    pages: list[str]
    """Every `/metrics`."""
    failure: list[BaseException] = field(default_factory=list)

    def poll(self) -> None:
        """Restart what ended; raises what ended the load. Call it several times a second."""
        self.pipeline.poll()
        for error in self.failure:
            raise error


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the load goes beside Kafka: the gateway's port, the API's address."""

    gateway: int
    api: str


@contextmanager
def watched(servers: Servers, prefix: str, folder: Path) -> Iterator[Watched]:
    """Start all of it; stop it in order."""
    now = time.time_ns() // 1_000
    with ExitStack() as stack:
        pipeline = stack.enter_context(running(servers, prefix, folder))
        _, posting = stack.enter_context(gateway(servers.kafka, prefix))
        _, asking = stack.enter_context(api(environment(servers.kafka, servers.redis_url, prefix)))
        calling = stack.enter_context(_webhooks(servers, prefix, folder))
        exporter = free_port()
        given = {"DRAWDOWN_HEALTH_PORT": str(exporter), "DRAWDOWN_EXPORTER_SECONDS": "2"}
        like = pipeline.supervisor.children[0].environment
        pipeline.supervisor.add(command("exporter", {**like, **given}, folder))
        told = WorkerStatus("supervisor", joined=True, ready=True)
        page = serve_health(told, "127.0.0.1", 0, metrics_registry())
        stack.callback(page.server_close)
        stack.callback(page.shutdown)
        ports = [page.server_address[1], *pipeline.ports.values(), exporter]
        targets = {
            "drawdown": ports,
            "drawdown-gateway": [posting],
            "drawdown-api": [int(asking.rpartition(":")[2])],
            "drawdown-webhooks": [calling],
        }
        address = stack.enter_context(scraping(folder / "prometheus", targets))
        every = itertools.chain.from_iterable(targets.values())
        pages = [f"http://127.0.0.1:{port}/metrics" for port in every]
        found = Watched(pipeline, address, pages)
        _apply(pipeline, now)
        stop = threading.Event()
        doors = Doors(posting, asking)
        load = threading.Thread(target=_send, args=(found, now, doors, stop), daemon=True)
        load.start()
        try:
            yield found
        finally:
            stop.set()
            load.join()


@contextmanager
def _webhooks(servers: Servers, prefix: str, folder: Path) -> Iterator[int]:
    """A dispatcher with one subscription, to a receiver on loopback; the port of its metrics."""
    place = Place(servers.kafka, servers.redis_url, prefix, folder / "subscriptions.json")
    with receiver(folder / "receiver") as to:
        place.subscribe(to, "crm")
        with place.dispatcher() as (_, port):
            yield port


def _apply(pipeline: Pipeline, now: int) -> None:
    catalog = resources.files("deploy.demo").joinpath("catalog.yaml")
    made = [parse_document(fields) for fields in documents(now)]
    with resources.as_file(catalog) as path:
        every = [*load_documents([path]), *made]
    settings = pipeline.settings
    send_documents(every, settings.kafka, settings.topic_prefix)  # type: ignore[arg-type]


def _send(watched: Watched, now: int, doors: Doors, stop: threading.Event) -> None:
    settings = watched.pipeline.settings
    records = Day(_EVENTS, now).records()
    try:
        with (
            Producer(settings.kafka, topic_prefix=settings.topic_prefix) as producer,
            httpx.Client(base_url=doors.api, timeout=60) as client,
        ):
            for burst in itertools.count():
                if stop.wait(_PAUSE_SECONDS):
                    return
                for _, record in zip(range(_BURST), records, strict=False):
                    producer.send_encoded(record.account, record.value)
                _post(client, doors.gateway, burst * _POSTED, now)
                if burst % _ASK_EVERY == 0:
                    _ask(client, burst, now)
    except BaseException as error:  # noqa: BLE001 - handed to the thread that polls
        watched.failure.append(error)


def _ask(client: httpx.Client, number: int, now: int) -> None:
    """A check, a grant, a hold. What is not known in time (503) is no fault of the load's."""
    held = {"account": "acme", "product": "api-calls", "amount": "0.5", "expires_in": "PT1M"}
    grant: dict[str, Any] = {
        "kind": "Grant",
        "id": f"w{number}",
        "account": "acme",
        "type": "promotional",
        "amount": "1",
        "effective_at": format_instant(now),
        "expires_at": format_instant(now + DAY),
    }
    asked: dict[str, Any] = {
        "/v1/check": {"account": "acme", "product": "api-calls", "quantity": "1"},
        "/v1/documents": [grant],
        "/v1/holds": {**held, "id": f"w{number}"},
    }
    for route, body in asked.items():
        answer = client.post(route, json=body)
        assert answer.is_success or answer.status_code in {402, 503}, answer.text


def _post(client: httpx.Client, port: int, first: int, now: int) -> None:
    events = [
        {
            "specversion": "1.0",
            "id": f"p{number}",
            "source": "shop",
            "type": "api.call",
            "subject": "globex",
            "time": format_instant(now),
            "data": {"path": "/v1/search"},
        }
        for number in range(first, first + _POSTED)
    ]
    events.append({"id": "no envelope"})
    url, kind = f"http://127.0.0.1:{port}/v1/events", "application/cloudevents-batch+json"
    answer = once_there(lambda: client.post(url, json=events, headers={"content-type": kind}))
    assert answer.json()["accepted"] == _POSTED
