"""`drawdown subscriptions`: who is told of which alerts. A secret is shown once, when made."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from pydantic import ValidationError

from projections.delivery.files import load_subscriptions, save_subscriptions
from projections.delivery.store import DeliveryStore
from projections.delivery.subscriptions import (
    Subscription,
    Subscriptions,
    new_secret,
    new_subscription,
)
from schemas.errors import ConfigurationError, faults_of
from schemas.times import TimeError, format_instant, parse_duration

Id = Annotated[str, typer.Argument(metavar="ID")]
Several = list[str] | None
T = TypeVar("T")
_KEPT: Final = "P1D"


def register(
    app: typer.Typer,
    file: Callable[[], Path],
    store: Callable[[], DeliveryStore],
) -> None:
    """Add the commands to `app`; `file` and `store` are called when one of them runs."""
    group = typer.Typer(
        help="Who is told of which alerts: in the file that DRAWDOWN_WEBHOOKS_FILE names.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    _register_add(group, file, store)
    _register_list(group, file, store)
    _register_rotate(group, file)
    _register_switches(group, file, store)
    app.add_typer(group, name="subscriptions")


def _register_add(
    group: typer.Typer, file: Callable[[], Path], store: Callable[[], DeliveryStore]
) -> None:
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
            bool, typer.Option(help="http, and addresses that are not public")
        ] = False,
    ) -> None:
        """Subscribe a URL to alerts from now on, and show the secret that verifies them, once."""
        path = file()
        known = _known(path)
        if known.find(identity) is not None:
            raise ConfigurationError(f"there is a subscription {identity} already")
        one, secret = _checked(
            lambda: new_subscription(
                identity,
                url,
                _now(),
                types or (),
                accounts or (),
                contracts or (),
                allow_private=allow_private,
            )
        )
        store().forget(identity)  # what another of this id may have left
        save_subscriptions(path, _checked(lambda: known.with_one(one)))
        typer.echo(secret)


def _register_list(
    group: typer.Typer, file: Callable[[], Path], store: Callable[[], DeliveryStore]
) -> None:
    @group.command("list")
    def list_subscriptions() -> None:
        """Show every subscription, what waits for it and whether it is disabled; no secret."""
        found = _known(file()).subscriptions
        held = store()
        waiting, stopped = held.waiting([each.id for each in found]), held.disabled()
        for each in found:
            filters = [f"type {name}" for name in sorted(each.types or ())]
            filters += [f"account {name}" for name in sorted(each.accounts or ())]
            filters += [f"contract {name}" for name in sorted(each.contracts or ())]
            why = each.disabled or stopped.get(each.id)
            state = "enabled" if why is None else f"disabled {format_instant(why.at)}: {why.why}"
            line = [each.id, each.url, state, f"{waiting[each.id]} waiting", *filters]
            typer.echo("  ".join(line))


def _register_rotate(group: typer.Typer, file: Callable[[], Path]) -> None:
    @group.command("rotate")
    def rotate(
        identity: Id,
        keep: Annotated[str, typer.Option(help="how long the old secret signs, too")] = _KEPT,
    ) -> None:
        """Make a new secret and show it, once; the old one signs beside it for a while."""
        path = file()
        known = _known(path)
        one, fresh = _find(known, identity), new_secret()
        changed = _checked(lambda: one.rotated(fresh, _now(), parse_duration(keep).microseconds))
        save_subscriptions(path, known.with_one(changed))
        typer.echo(fresh)


def _register_switches(
    group: typer.Typer, file: Callable[[], Path], store: Callable[[], DeliveryStore]
) -> None:
    @group.command("disable")
    def disable(
        identity: Id, why: Annotated[str, typer.Option(help="for whoever lists it")] = "by hand"
    ) -> None:
        """Send nothing more, until it is enabled; what waits is kept."""
        path = file()
        known = _known(path)
        stopped = _checked(lambda: _find(known, identity).stopped(_now(), why))
        save_subscriptions(path, known.with_one(stopped))
        typer.echo(f"disabled {identity}")

    @group.command("enable")
    def enable(identity: Id) -> None:
        """Send again, what waits first; says how to send what was skipped meanwhile."""
        path = file()
        known, held = _known(path), store()
        one = _find(known, identity)
        since = held.skipped_since(identity)
        held.enable(identity)
        save_subscriptions(path, known.with_one(one.changed(disabled=None)))
        typer.echo(f"enabled {identity}")
        if since is not None:
            at = format_instant(since)
            typer.echo(
                f"what came meanwhile: drawdown webhooks replay {identity} --all --since {at}"
            )

    @group.command("remove")
    def remove(identity: Id) -> None:
        """Forget it, and what waits for it."""
        path = file()
        known = _known(path)
        _find(known, identity)
        save_subscriptions(path, known.without(identity))
        store().forget(identity)
        typer.echo(f"removed {identity}")


def _now() -> int:
    return time.time_ns() // 1_000


def _known(path: Path) -> Subscriptions:
    return load_subscriptions(path) if path.exists() else Subscriptions()


def _find(known: Subscriptions, identity: str) -> Subscription:
    found = known.find(identity)
    if found is None:
        raise ConfigurationError(f"no subscription {identity}")
    return found


def _checked(make: Callable[[], T]) -> T:
    try:
        return make()
    except ValidationError as error:
        raise ConfigurationError(faults_of(error)) from None
    except TimeError as error:
        raise ConfigurationError(str(error)) from error
