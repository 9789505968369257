"""`drawdown webhooks`: the dispatcher, dead letters, replay; and `drawdown subscriptions`."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.webhooks import subscriptions
from projections.logs import log_as
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.settings import Settings
    from projections.delivery.deliveries import DeadLetter

Since = Annotated[str | None, typer.Option(help="an instant: 2026-01-01T00:00:00Z")]
Name = Annotated[str, typer.Argument(metavar="SUBSCRIPTION")]


def register(app: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    """Add the commands to `app`; `settings` is called when one of them runs."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    _register_dispatcher(group, settings)
    _register_dead(group, settings)
    _register_replay(group, settings)
    app.add_typer(group, name="webhooks")
    subscriptions.register(app, settings)


def _register_dispatcher(group: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @group.callback()
    def webhooks(context: typer.Context) -> None:
        """Send alerts to their subscriptions as Standard Webhooks, until SIGTERM or Ctrl-C."""
        if context.invoked_subcommand is not None:
            return
        from deploy.webhooks.dispatcher import delivery_settings
        from projections import ends
        from projections.delivery.process import run_webhooks
        from projections.delivery.settings import STAGE

        log_as(STAGE)
        in_force = delivery_settings(settings())
        with ends.told():
            run_webhooks(in_force)


def _register_dead(group: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @group.command("dead")
    def dead(subscription: Annotated[str | None, typer.Argument()] = None) -> None:
        """List dead letters: subscription, alert, why, the last answer, when."""
        from projections.delivery.dead import read_dead
        from projections.fold.log import Log
        from schemas.times import format_instant

        def wanted(letter: "DeadLetter") -> bool:
            return subscription in (None, letter.subscription)

        in_force = settings()
        for letter in read_dead(Log(in_force.kafka_access, in_force.topic_prefix), wanted):
            typer.echo(
                f"{format_instant(letter.at)}  {letter.subscription}  {letter.delivery.alert}  "
                f"{letter.cause}  {letter.delivery.made} attempts  {letter.answer}".rstrip()
            )

    @group.command("forget-position")
    def forget_position() -> None:
        """After the alerts' topic was recreated or cut: read what it holds from its start.

        Stop the dispatchers first. What is remembered as settled is not sent again.
        """
        from deploy.webhooks.dispatcher import store_of

        store_of(settings()).forget_positions()
        typer.echo("the next dispatcher reads the alerts from the start of their log")


def _register_replay(group: typer.Typer, settings: Callable[[], "Settings"]) -> None:
    @group.command("replay")
    def replay_command(
        subscription: Name,
        *,
        since: Since = None,
        alert: Annotated[
            str | None, typer.Option(help="the dead letter of this alert only")
        ] = None,
        every: Annotated[
            bool, typer.Option("--all", help="not dead letters: each alert it wants, --since T")
        ] = False,
    ) -> None:
        """Send a subscription's dead letters again; or, with --all --since T, every alert."""
        from deploy.webhooks.dispatcher import file_of, store_of
        from projections.delivery.files import load_subscriptions
        from projections.delivery.replay import dead_deliveries, logged_deliveries, replay
        from projections.fold.log import Log

        in_force = settings()
        found = load_subscriptions(file_of(in_force)).find(subscription)
        if found is None:
            raise ConfigurationError(f"no subscription {subscription}")
        if every and (since is None or alert is not None):
            raise ConfigurationError("--all goes with --since T, and not with --alert")
        start, log = _instant(since), Log(in_force.kafka_access, in_force.topic_prefix)
        chosen = (
            logged_deliveries(log, found, start)
            if every
            else dead_deliveries(log, subscription, start, alert)
        )
        store, most = store_of(in_force), in_force.webhooks_most_waiting
        now = time.time_ns() // 1_000
        added = replay(store, subscription, chosen, most, now, lambda: time.sleep(1.0))
        stopped = found.disabled is not None or subscription in store.disabled()
        later = f", once it is enabled: drawdown subscriptions enable {subscription}"
        typer.echo(f"{added} deliveries wait to be sent{later if stopped else ''}")


def _instant(text: str | None) -> int:
    from schemas.times import TimeError, parse_instant

    if text is None:
        return 0
    try:
        return parse_instant(text)
    except TimeError as error:
        raise ConfigurationError(f"--since: {error}") from error
