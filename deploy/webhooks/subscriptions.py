"""`drawdown subscriptions`: who is told of which alerts. A secret is shown once, when made."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from deploy.settings import Settings

Id = Annotated[str, typer.Argument(metavar="ID")]
Several = list[str] | None
_KEPT: Final = "P1D"


def register(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    """Add the commands to `app`; `settings` is called when one of them runs."""
    group = typer.Typer(
        help="Who is told of which alerts: in the file that DRAWDOWN_WEBHOOKS_FILE names.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    _register_add(group, settings)
    _register_list(group, settings)
    _register_rotate(group, settings)
    _register_switches(group, settings)
    app.add_typer(group, name="subscriptions")


def _register_add(group: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @group.command("add")
    def add(
        identity: Id,
        url: Annotated[str, typer.Argument(help="https://…, without user or password")],
        types: Annotated[
            Several, typer.Option("--type", help="only this type of alert; repeat")
        ] = None,
        accounts: Annotated[
            Several, typer.Option("--account", help="only this account's; repeat")
        ] = None,
        contracts: Annotated[
            Several, typer.Option("--contract", help="only what names this contract; repeat")
        ] = None,
        *,
        allow_private: Annotated[
            bool, typer.Option(help="addresses that are not public, and http to those")
        ] = False,
    ) -> None:
        """Subscribe a URL to alerts from now on, and show the secret that verifies them, once."""
        from deploy.webhooks import changes

        wanted = (types or (), accounts or (), contracts or ())
        secret = changes.add(settings(), identity, url, *wanted, allow_private=allow_private)
        typer.echo(secret)


def _register_list(group: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @group.command("list")
    def list_subscriptions() -> None:
        """Show every subscription, its state, what waits and what was skipped; no secret."""
        from deploy.webhooks import changes

        for line in changes.describe(settings()):
            typer.echo(line)


def _register_rotate(group: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @group.command("rotate")
    def rotate(
        identity: Id,
        keep: Annotated[str, typer.Option(help="how long the old secret signs, too")] = _KEPT,
    ) -> None:
        """Make a new secret and show it, once; the old one signs beside it for a while."""
        from deploy.webhooks import changes

        typer.echo(changes.rotate(settings(), identity, keep))


def _register_switches(group: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @group.command("disable")
    def disable(
        identity: Id, why: Annotated[str, typer.Option(help="for whoever lists it")] = "by hand"
    ) -> None:
        """Send nothing more, until it is enabled; what waits is kept."""
        from deploy.webhooks import changes

        changes.disable(settings(), identity, why)
        typer.echo(f"disabled {identity}")

    @group.command("enable")
    def enable(identity: Id) -> None:
        """Send again, what waits first; says how to send what was skipped meanwhile."""
        from deploy.webhooks import changes

        changes.enable(settings(), identity)
        typer.echo(f"enabled {identity}")
        since = changes.skipped(settings(), identity)
        if since is not None:
            typer.echo(
                f"what came meanwhile: drawdown webhooks replay {identity} --all --since {since}"
            )

    @group.command("remove")
    def remove(identity: Id) -> None:
        """Forget it, and what waits for it."""
        from deploy.webhooks import changes

        changes.remove(settings(), identity)
        typer.echo(f"removed {identity}")
