"""The commands that read and prove: balance, check, contract show, alerts, lag, reconcile …"""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.settings import Settings

STAGES: Final = ("rating", "balances", "all")
DENIED_EXIT: Final = 3
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def register(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    """Add the commands to `app`; `settings` is called when one of them runs."""
    _register_balance(app, settings)
    _register_check(app, settings)
    _register_contract(app, settings)
    _register_alerts(app, settings)
    _register_lag(app, settings)
    _register_reconcile(app, settings)
    _register_rebuild(app, settings)


def _register_balance(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @app.command("balance")
    def balance(
        account: Annotated[str, typer.Argument(help="the account's id")], *, as_json: AsJson = False
    ) -> None:
        """Show an account's balance, grant by grant, and as of which position."""
        from rich.console import Console

        from deploy.reading.balance import show
        from deploy.reading.surroundings import surroundings
        from projections.reading.balance import read_balance

        entry = read_balance(surroundings(settings()), account)
        if entry is None:
            typer.echo(f"no account {account} (or none that has been folded yet)", err=True)
            raise typer.Exit(1)
        if as_json:
            _print_json(entry)
        else:
            show(entry, Console())


def _register_check(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @app.command("check")
    def check(
        account: Annotated[str, typer.Argument(help="the account's id")],
        product: Annotated[str, typer.Argument(help="the product's id")],
        quantity: Annotated[str, typer.Argument(help="of the line that would be drawn")],
        *,
        data: Annotated[
            str | None, typer.Option(help="the event's data, JSON: dimensions, limits' entities")
        ] = None,
        contract: Annotated[str | None, typer.Option(help="which the event would name")] = None,
        time: Annotated[str | None, typer.Option(help="event time; default: the journal's")] = None,
        as_json: AsJson = False,
    ) -> None:
        """May the account use so much now? Exit code 0: allowed, 3: denied; nothing is written.

        Answered as the line would be drawn at the stated position. The quantity is the line's: of a
        `max` product the rise, of a `unique` one the first sights.
        """
        from rich.console import Console

        from deploy.reading.check import asked, show
        from deploy.reading.surroundings import surroundings
        from projections.reading.check import read_check

        question = asked(account, product, quantity, data, contract, time)
        answer = read_check(surroundings(settings()), question)
        if as_json:
            _print_json(answer)
        else:
            show(answer, Console())
        if not answer["allowed"]:
            raise typer.Exit(DENIED_EXIT)


def _register_contract(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

    @group.callback()
    def contract() -> None:
        """Contracts: what was agreed, and how it changed."""

    @group.command("show")
    def show(
        contract: Annotated[str, typer.Argument(help="the contract's id")],
        *,
        account: Annotated[str, typer.Option(help="the account that it is of")],
        as_json: AsJson = False,
    ) -> None:
        """Show a contract's history: what changed, from when on, why, by whom; then its terms."""
        from rich.console import Console

        from deploy.reading import contract as contracts
        from deploy.reading.surroundings import surroundings
        from projections.reading.contract import read_contract

        entry = read_contract(surroundings(settings()), account, contract)
        if entry is None:
            typer.echo(
                f"no contract {contract} of account {account} (or none folded yet)", err=True
            )
            raise typer.Exit(1)
        if as_json:
            _print_json(entry)
        else:
            contracts.show(entry, Console())

    app.add_typer(group, name="contract")


def _register_alerts(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @app.command("alerts")
    def alerts(
        *,
        account: Annotated[str | None, typer.Option(help="only this account's")] = None,
        follow: Annotated[bool, typer.Option("--follow", "-f", help="then whatever comes")] = False,
        as_json: Annotated[
            bool, typer.Option("--json", help="print CloudEvents, one a line")
        ] = False,
    ) -> None:
        """Show the alerts as they happened; repeats are dropped by id."""
        from deploy.reading.alerts import one_line, read_alerts
        from projections.fold.log import Log

        in_force = settings()
        log = Log(in_force.kafka_access, in_force.topic_prefix)
        try:
            for event in read_alerts(log, account, follow=follow):
                typer.echo(json.dumps(event, sort_keys=True) if as_json else one_line(event))
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def _register_lag(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @app.command("lag")
    def lag(*, as_json: AsJson = False) -> None:
        """Show how many records each stage has not read yet, by the positions in Redis."""
        from rich.console import Console

        from deploy.reading.lag import measure, measure_webhooks, show
        from deploy.reading.surroundings import surroundings

        around = surroundings(settings())
        measured = [*measure(around), *measure_webhooks(around)]
        if as_json:
            _print_json([each.to_dict() for each in measured])
        else:
            show(measured, Console())


def _register_reconcile(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @app.command("reconcile")
    def reconcile_command(
        *,
        as_json: AsJson = False,
        seed: Annotated[int, typer.Option(help="draws the cuttings of I5 and the ticks of I7")] = 0,
    ) -> None:
        """Read the log from its start, fold it again, and prove every invariant; 1 if one fails."""
        from rich.console import Console

        from deploy.reading.reconcile import reconcile
        from deploy.reading.report import show

        report = reconcile(settings(), Console(file=sys.stderr), seed)
        if as_json:
            _print_json(report.to_dict())
        else:
            show(report, Console())
        if not report.holds:
            raise typer.Exit(1)


def _register_rebuild(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @app.command("rebuild")
    def rebuild(
        stage: Annotated[str, typer.Option(help=" | ".join(STAGES))] = "all",
    ) -> None:
        """Fold the log again into fresh rows, beside running workers, and switch to them."""
        from deploy.reading.rebuild import rebuilt

        if stage not in STAGES:
            raise ConfigurationError(f"no stage {stage!r}: expected one of {', '.join(STAGES)}")
        for line in rebuilt(settings(), stage):
            typer.echo(line)


def _print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON holds
    typer.echo(json.dumps(value, indent=2, sort_keys=True))
