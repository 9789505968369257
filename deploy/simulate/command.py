"""The command `drawdown simulate`: a file in, what happened out; or what would be different.

Exit codes: 0 it ran (also where something was rejected), 1 the file cannot be read, 2 it is not
valid.
"""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from schemas.errors import DocumentError

_FAILED: Final = 1


def register(app: typer.Typer) -> None:
    """Add `simulate` to the command line."""

    @app.command("simulate")
    def simulate_command(
        file: Annotated[str, typer.Argument(help="a scenario in YAML; - is standard input")],
        *,
        against: Annotated[
            str | None,
            typer.Option(
                metavar="OTHER",
                help="print what differs when OTHER runs instead: a scenario, or a file of"
                " `catalog` and `documents` (accounts, contracts, grants) to put into this one",
            ),
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    ) -> None:
        """Run a scenario through the real rating and balances; no Kafka, no Redis."""
        from deploy.simulate.printed import compare, simulate

        try:
            result = (
                simulate(_read(file), as_json=as_json)
                if against is None
                else compare(_read(file), _read(against), as_json=as_json)
            )
        except DocumentError as error:
            for path, expected in error.faults:
                typer.echo(f"{path}: {expected}", err=True)
            raise typer.Exit(error.exit_code) from None
        typer.echo(result)


def _read(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        typer.echo(f"{file}: {error.strerror}", err=True)
        raise typer.Exit(_FAILED) from None
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise DocumentError([(file, f"expected UTF-8: {error}")]) from error
