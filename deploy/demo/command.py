"""The command `drawdown demo`: status 0 only if all holds."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add `drawdown demo`."""
    app.command("demo")(demo)


def demo(
    events: Annotated[int, typer.Option(min=1, help="usage events of the day")] = 50_000,
    seed: Annotated[int, typer.Option(help="of the generated day")] = 1,
) -> None:
    """Run the whole pipeline on embedded servers, on a generated day of usage, and prove it."""
    from deploy.demo.run import run_demo

    if not run_demo(events, seed):
        raise typer.Exit(1)
