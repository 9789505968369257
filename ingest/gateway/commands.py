"""`drawdown gateway` and `drawdown keys`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from projections.logs import log_as
from schemas.errors import ConfigurationError, faults_of

if TYPE_CHECKING:
    from ingest.gateway.server import GatewaySettings


def register(app: typer.Typer, settings: Callable[[], "GatewaySettings"]) -> None:
    """Add the commands to `app`."""
    keys_app = typer.Typer(
        help="The gateway's API keys, in the file that DRAWDOWN_GATEWAY_KEYS names.",
        no_args_is_help=True,
    )
    app.add_typer(keys_app, name="keys")

    @app.command("gateway")
    def gateway() -> None:
        """Take usage over HTTP: POST /v1/events, and OpenMeter's POST /api/v1/events."""
        from ingest.gateway.app import STAGE
        from ingest.gateway.server import run_gateway

        log_as(STAGE)
        run_gateway(settings())

    @keys_app.command("create")
    def create(
        name: Annotated[str, typer.Argument(help="what it is for")],
        scope: Annotated[
            list[str] | None, typer.Option(help="ingest | read | write | admin")
        ] = None,
        source: Annotated[list[str] | None, typer.Option(help="only this source; repeat")] = None,
        account: Annotated[list[str] | None, typer.Option(help="only this account; repeat")] = None,
        events_per_second: Annotated[int | None, typer.Option(min=1)] = None,
    ) -> None:
        """Add a key and show its token, once: only a digest of it is kept."""
        from pydantic import ValidationError

        from projections.web.keyring import change_keys
        from projections.web.keys import new_key

        path = _file(settings())
        try:
            key, token = new_key(
                name, scope or ["ingest"], source or (), account or (), events_per_second
            )
        except ValidationError as error:
            raise ConfigurationError(faults_of(error)) from error
        change_keys(path, lambda known: known.with_key(key))
        typer.echo(token)

    @keys_app.command("list")
    def list_keys() -> None:
        """Show every key: no secret is kept that could be shown."""
        from projections.web.keyring import known_keys

        for key in known_keys(_file(settings())).keys:
            limits = [f"source {source}" for source in sorted(key.sources or ())]
            limits += [f"account {account}" for account in sorted(key.accounts or ())]
            state = "revoked" if key.revoked else ", ".join(sorted(key.scopes))
            typer.echo("  ".join([key.id, key.name, state, *limits]))

    @keys_app.command("revoke")
    def revoke(identity: Annotated[str, typer.Argument(metavar="ID")]) -> None:
        """Revoke a key; gateways refuse it within a second."""
        from projections.web.keyring import change_keys

        path = _file(settings())
        try:
            change_keys(path, lambda known: known.without(identity))
        except KeyError:
            typer.echo(f"no key {identity}", err=True)
            raise typer.Exit(1) from None
        typer.echo(f"revoked {identity}")


def _file(settings: "GatewaySettings") -> Path:
    if settings.gateway_keys is None:
        message = "DRAWDOWN_GATEWAY_KEYS names no file"
        raise ConfigurationError(message)
    return settings.gateway_keys
