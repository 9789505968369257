"""`drawdown up`: servers, topics, every worker and what runs beside them, until Ctrl-C."""

import shlex
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import typer

from deploy.provision import create_topics
from deploy.servers.find import Kind, Servers, open_servers
from deploy.settings import Settings, load_settings
from deploy.supervisor import Supervisor, command, metrics_registry, worker
from deploy.workers import WORKERS, health_port
from projections.health import WorkerStatus, serve_health

_POLL_SECONDS: Final = 0.1
_ORDER: Final = ("gateway", "api", *WORKERS, "exporter", "webhooks")
"""In which they are stopped: what takes in, what works it off, what tells of it."""


@contextmanager
def running_pipeline(
    servers: Servers,
    environment: dict[str, str],
    logs: Path | None = None,
    beside: Collection[str] = (),
) -> Iterator[Supervisor]:
    """Topics and supervised workers on `servers`; drains and stops all of them at the end.

    `environment` adds to (and wins over) the addresses of the servers; `logs` is a folder for the
    workers' output, absent: this process's. `beside` names commands that run, too.
    """
    addresses = {"DRAWDOWN_KAFKA": servers.kafka, "DRAWDOWN_REDIS_URL": servers.redis_url}
    environment = {**addresses, **environment}
    settings = load_settings(
        **{name.removeprefix("DRAWDOWN_").lower(): value for name, value in environment.items()}
    )
    create_topics(
        settings.kafka_access, settings.topic_prefix, settings.partitions, settings.replication
    )
    supervisor = Supervisor(
        [
            (worker if name in WORKERS else command)(name, environment, logs)
            for name in _ORDER
            if name in WORKERS or name in beside
        ]
    )
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def run_up(broker: Kind, data: Path | None, doors: Collection[str]) -> None:
    """Run servers, workers, exporter and `doors` until SIGTERM or Ctrl-C; then drain and stop all.

    Raises ConfigurationError, LogUnavailable, ServerError.
    """
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    settings = load_settings()
    with (
        open_servers(broker, data) as servers,
        running_pipeline(servers, {}, beside=("exporter", *doors)) as supervisor,
    ):
        status = WorkerStatus("supervisor", joined=True, ready=True)
        port = health_port("supervisor", settings)
        serve_health(status, settings.health_host, port, metrics_registry())
        typer.echo("\n".join(_where(servers, settings, doors)))
        while not stopping:
            supervisor.poll()
            time.sleep(_POLL_SECONDS)
        typer.echo("draining …")


def _where(servers: Servers, settings: Settings, doors: Collection[str]) -> Iterator[str]:
    yield f"Kafka   {servers.kafka}   ({servers.kind})"
    yield f"Redis   {servers.redis_url}"
    served = "webhooks" if "webhooks" in doors else None
    for name in filter(None, ("supervisor", *WORKERS, "exporter", served)):
        port = health_port(name, settings)
        yield f"{name:10} http://{settings.health_host}:{port}/healthz /readyz /metrics"
    if "gateway" in doors:
        yield f"gateway    http://{settings.gateway_host}:{settings.gateway_port}/v1/events"
    if "api" in doors:
        yield f"api        http://{settings.api_host}:{settings.api_port}/v1 /openapi.json"
    if "gateway" in doors or "api" in doors:
        keys = settings.gateway_keys
        yield "no API keys: for this machine only" if keys is None else f"API keys   {keys}"
    file = settings.webhooks_file if served else None
    told = "" if file is None else f" DRAWDOWN_WEBHOOKS_FILE={shlex.quote(str(file.absolute()))}"
    yield "In another terminal:"
    yield f"  export DRAWDOWN_KAFKA={servers.kafka} DRAWDOWN_REDIS_URL={servers.redis_url}{told}"
    yield "  drawdown apply CATALOG.yaml; drawdown send EVENTS.jsonl; drawdown balance ACCOUNT"
    yield "Ctrl-C drains and stops everything."
