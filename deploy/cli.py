"""The command `drawdown`.

A module of commands holds their options and texts, and loads what a command does when it runs: a
worker starts in half the time and without the libraries of the others.
"""

import functools
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

import ingest.commands
import ingest.gateway.commands
import projections.api.commands
from deploy.acl import command as acl
from deploy.corrections import command as corrections
from deploy.demo import command as demo
from deploy.reading import command as reading
from deploy.simulate import command as simulate
from deploy.webhooks import command as webhooks
from deploy.workers import WORKERS, run_worker
from projections.logs import log_as, log_plainly, say_failure
from schemas.errors import DrawdownError

if TYPE_CHECKING:
    from deploy.settings import Settings

app = typer.Typer(
    name="drawdown",
    help="Meter usage, draw down prepaid credits, prove every one of them.\n\n"
    "Settings come from the environment (DRAWDOWN_KAFKA, DRAWDOWN_REDIS_URL, …) and from "
    "drawdown.toml; `drawdown settings` shows those in force.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_USAGE_EXIT: Final = 2


class Door(StrEnum):
    """What faces outwards and may run beside the workers: each is a command, too."""

    GATEWAY = "gateway"
    API = "api"
    WEBHOOKS = "webhooks"


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"drawdown {version('drawdown')}")
        raise typer.Exit


@app.callback()
def drawdown(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the release and exit."
        ),
    ] = False,
) -> None:
    """Options of the command itself; its help is that of `app`."""


@functools.cache
def settings() -> "Settings":
    """The settings in force, read once a process."""
    from deploy.settings import load_settings

    return load_settings()


@app.command("worker")
def worker(name: Annotated[str, typer.Argument(help=" | ".join(WORKERS))]) -> None:
    """Run one worker in the foreground, until SIGTERM or Ctrl-C."""
    if name not in WORKERS:
        typer.echo(f"no worker {name!r}: expected one of {', '.join(WORKERS)}", err=True)
        raise typer.Exit(_USAGE_EXIT)
    run_worker(name, settings())


@app.command("topics")
def topics() -> None:
    """Create the topics that are missing."""
    from deploy.provision import create_topics

    in_force = settings()
    created = create_topics(
        in_force.kafka_access, in_force.topic_prefix, in_force.partitions, in_force.replication
    )
    typer.echo("\n".join(f"created {name}" for name in created) or "all topics are there")


@app.command("settings")
def show_settings() -> None:
    """Show every setting in force."""
    for name, value in settings().model_dump().items():
        shown = "(hidden: holds a password)" if name == "redis_url" and "@" in str(value) else value
        typer.echo(f"DRAWDOWN_{name.upper()}={'' if shown is None else shown}")


@app.command("schema")
def schema(
    *,
    check: Annotated[bool, typer.Option(help="only say whether the files are current")] = False,
) -> None:
    """Write the JSON Schemas and the AsyncAPI document; with --check, exit 1 if they are stale."""
    from schemas import generate

    stale = generate.stale_files() if check else generate.write_files()
    for name in stale:
        typer.echo(f"{'stale' if check else 'wrote'}: {name}")
    if check and stale:
        raise typer.Exit(1)


@app.command("up")
def up(
    broker: Annotated[
        Literal["embedded", "apache"],
        typer.Option(help="embedded (in memory, nothing to install) | apache (Java, Maven)"),
    ] = "embedded",
    data: Annotated[
        Path | None, typer.Option(help="data folder, for --broker apache: kept between runs")
    ] = None,
    doors: Annotated[
        list[Door] | None,
        typer.Option(
            "--with",
            metavar="gateway|api|webhooks",
            help="run this, too, with the settings that it has; repeat",
        ),
    ] = None,
) -> None:
    """Run servers and every worker on this machine; Ctrl-C drains and stops all.

    The embedded broker keeps its log in memory: for trying and for tests. Gateway and API listen on
    loopback, and elsewhere only with API keys; webhooks need DRAWDOWN_WEBHOOKS_FILE.
    """
    from deploy.up import run_up

    if doors:
        from deploy.doors import prepare

        for line in prepare(doors, settings()):
            typer.echo(line)

    log_as("supervisor")
    run_up(broker, data, doors or ())


acl.register(app, settings)
demo.register(app)
simulate.register(app)
ingest.commands.register(app, settings)
ingest.gateway.commands.register(app, settings)
projections.api.commands.register(app, settings)
reading.register(app, settings)


@app.command("exporter")
def exporter() -> None:
    """Serve business figures to Prometheus: one process beside the workers."""
    from deploy.exporter import NAME, run_exporter

    log_as(NAME)
    run_exporter(settings())


corrections.register(app, settings)
webhooks.register(app, settings)


def main() -> None:
    """Run the command line: a known failure is one line on standard error and its exit code."""
    log_plainly()
    try:
        app()
    except DrawdownError as error:
        say_failure(error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
