"""The commands `drawdown backfill` and `drawdown replay`."""

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def register(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    """Add the commands to `app`; `settings` is called when one of them runs."""
    _register_backfill(app, settings)
    _register_replay(app, settings)


def _register_backfill(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @app.command("backfill")
    def backfill(
        file: Annotated[
            str, typer.Argument(help="a file of CloudEvents, one a line; - is standard input")
        ],
        *,
        account: Annotated[str | None, typer.Option(help="only this account's events")] = None,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="send without asking")] = False,
        given_format: Annotated[
            Literal["jsonl", "csv", "parquet"] | None,
            typer.Option("--format", help="default: by the file's name; - is jsonl"),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Add usage that is older than the time window; say first what it would change.

        Shown per account: grants, overage, alerts, and the billing periods that had ended. Each
        event is priced at its event time and drawn at its place in the log, once. Left out: what
        the ledger has already, and what lies inside the window (send it). Without --yes it asks, or
        sends nothing where nobody can answer. Exit code 1: a row was refused.
        """
        from rich.console import Console

        from deploy.corrections.candidates import read_candidates
        from deploy.corrections.review import review
        from deploy.corrections.sending import send
        from deploy.corrections.show import show
        from deploy.reading.surroundings import surroundings
        from processors.admission.window import Window

        in_force = settings()
        window = Window(in_force.duration("max_event_age"), in_force.duration("max_event_lead"))
        now = time.time_ns() // 1_000
        around = surroundings(in_force)
        found = review(around, read_candidates(file, given_format, window, now, account))
        if not as_json:
            show(found, Console())
        commands = found.commands
        sending = bool(commands) and (yes or (not as_json and _agreed(len(commands))))
        if sending:
            send(commands, in_force)
        sent = len(commands) if sending else 0
        if as_json:
            typer.echo(json.dumps(found.to_dict() | {"sent": sent}, indent=2, sort_keys=True))
        else:
            typer.echo(f"sent {sent} of {len(commands)} events")
        if found.candidates.refused or any(effects.refused for effects in found.effects):
            raise typer.Exit(1)


def _register_replay(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @app.command("replay")
    def replay(
        event: Annotated[
            list[str] | None, typer.Argument(help="ACCOUNT SOURCE ID of one event; absent: all")
        ] = None,
        *,
        account: Annotated[str | None, typer.Option(help="only this account's")] = None,
    ) -> None:
        """Price the usage that waits as unrated, now that its product or rate card is there.

        Each event is priced with its original bytes and event time, once. What still has no price
        goes on waiting.
        """
        from deploy.corrections.replays import replays, unrated
        from deploy.corrections.sending import send
        from deploy.reading.surroundings import surroundings

        if event and (len(event) != 3 or account is not None):
            raise ConfigurationError("expected ACCOUNT SOURCE ID, or --account, or neither")
        in_force = settings()
        around = surroundings(in_force)
        keys = [(event[0], event[1], event[2])] if event else unrated(around, account)
        commands = list(replays(around, keys))
        send(commands, in_force)
        for command in commands:
            typer.echo(f"sent replay of {command.event} of {command.source} ({command.account})")
        if not commands:
            typer.echo("nothing waits for a price")


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        typer.echo(f"nothing is sent: --yes sends the {count} events")
        return False
    return typer.confirm(f"send {count} events?")
