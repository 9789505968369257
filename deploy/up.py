"""`drawdown up`: servers, topics and every worker, under one supervisor, until Ctrl-C."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import typer

from deploy.provision import create_topics
from deploy.servers.find import Kind, Servers, open_servers
from deploy.settings import HEALTH_PORTS, load_settings
from deploy.supervisor import Supervisor, command, metrics_registry, worker
from deploy.workers import WORKERS, health_port
from projections.health import WorkerStatus, serve_health

_POLL_SECONDS: Final = 0.1


@contextmanager
def running_pipeline(
    servers: Servers, environment: dict[str, str], logs: Path | None = None
) -> Iterator[Supervisor]:
    """Topics and supervised workers on `servers`; drains and stops the workers at the end.

    `environment` adds to (and wins over) the addresses of the servers; `logs` is a folder for the
    workers' output, absent: this process's.
    """
    addresses = {"DRAWDOWN_KAFKA": servers.kafka, "DRAWDOWN_REDIS_URL": servers.redis_url}
    environment = {**addresses, **environment}
    settings = load_settings(
        **{name.removeprefix("DRAWDOWN_").lower(): value for name, value in environment.items()}
    )
    create_topics(
        settings.kafka_access, settings.topic_prefix, settings.partitions, settings.replication
    )
    supervisor = Supervisor([worker(name, environment, logs) for name in WORKERS])
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def run_up(broker: Kind, data: Path | None) -> None:
    """Run servers and every worker until SIGTERM or Ctrl-C; then drain and stop all.

    Raises ConfigurationError, LogUnavailable, ServerError.
    """
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    with open_servers(broker, data) as servers, running_pipeline(servers, {}) as supervisor:
        settings = load_settings()
        addresses = {"DRAWDOWN_KAFKA": servers.kafka, "DRAWDOWN_REDIS_URL": servers.redis_url}
        supervisor.add(command("exporter", addresses))
        status = WorkerStatus("supervisor", joined=True, ready=True)
        port = health_port("supervisor", settings)
        serve_health(status, settings.health_host, port, metrics_registry())
        _say_where(servers)
        while not stopping:
            supervisor.poll()
            time.sleep(_POLL_SECONDS)
        typer.echo("draining …")


def _say_where(servers: Servers) -> None:
    typer.echo(f"Kafka   {servers.kafka}   ({servers.kind})\nRedis   {servers.redis_url}")
    for name in ("supervisor", *WORKERS, "exporter"):
        typer.echo(f"{name:10} http://127.0.0.1:{HEALTH_PORTS[name]}/healthz /readyz /metrics")
    typer.echo(
        "In another terminal:\n"
        f"  export DRAWDOWN_KAFKA={servers.kafka} DRAWDOWN_REDIS_URL={servers.redis_url}\n"
        "  drawdown apply CATALOG.yaml; drawdown send EVENTS.jsonl; drawdown balance ACCOUNT\n"
        "Ctrl-C drains and stops everything."
    )
