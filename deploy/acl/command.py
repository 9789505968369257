"""`drawdown acl`: what to allow, as the tools of Kafka and Redis take it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.settings import Settings

REDIS_ROLES: Final = ("worker", "reader", "api", "webhooks", "exporter")


def register(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    """Add the commands to `app`; `settings` is called when one of them runs."""
    acl = typer.Typer(
        help="What each process must be allowed on Kafka and Redis, and nothing more.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    app.add_typer(acl, name="acl")

    @acl.command("kafka")
    def kafka(
        role: Annotated[list[str] | None, typer.Option(help="only this role; repeat")] = None,
        user: Annotated[
            str | None, typer.Option(help="the principal; default: drawdown-ROLE")
        ] = None,
    ) -> None:
        """Print options for kafka-acls.sh, one entry a line: xargs -L1 kafka-acls.sh … --add."""
        from deploy.acl.lists import kafka_entries, kafka_roles

        wanted = role or kafka_roles()
        _known(wanted, kafka_roles())
        in_force = settings()
        for each in kafka_entries(in_force.topic_prefix, in_force.key_prefix):
            if each.role in wanted:
                who = user or f"drawdown-{each.role}"
                typer.echo(
                    f"--allow-principal User:{who} --operation {each.operation}"
                    f" --{each.resource} {each.name}"
                )

    @acl.command("redis")
    def redis(
        role: Annotated[str, typer.Option(help=" | ".join(REDIS_ROLES))] = "worker",
        user: Annotated[
            str | None, typer.Option(help="the user's name; default: drawdown-ROLE")
        ] = None,
        password_file: Annotated[
            Path | None, typer.Option(help="without it: only the rules, for ACL SETUSER")
        ] = None,
    ) -> None:
        """Print a line of an ACL file; the password stands in it as its SHA-256."""
        from deploy.acl.lists import redis_line, redis_roles, redis_rules

        _known([role], redis_roles())
        prefix = settings().key_prefix
        if password_file is None:
            typer.echo(" ".join(redis_rules(role, prefix)))
            return
        try:
            password = password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            message = f"{password_file} cannot be read: {error.strerror}"
            raise ConfigurationError(message) from error
        typer.echo(redis_line(user or f"drawdown-{role}", role, prefix, password))


def _known(asked: list[str], roles: list[str]) -> None:
    for role in asked:
        if role not in roles:
            raise ConfigurationError(f"no role {role!r}: expected one of {', '.join(roles)}")
