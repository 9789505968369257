"""The command `drawdown simulate`: a file in, what happened out.

Exit codes: 0 it ran (also where something was rejected), 1 the file cannot be read, 2 it is not
valid.
"""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.simulate.report import report, to_json
from deploy.simulate.run import run
from deploy.simulate.scenario import parse_scenario
from deploy.simulate.tables import to_text
from schemas.errors import DocumentError

_FAILED: Final = 1


def register(app: typer.Typer) -> None:
    """Add `simulate` to the command line."""

    @app.command("simulate")
    def simulate_command(
        file: Annotated[str, typer.Argument(help="a scenario in YAML; - is standard input")],
        *,
        as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    ) -> None:
        """Run a scenario through the real rating and balances; no Kafka, no Redis."""
        try:
            result = simulate(_read(file), as_json=as_json)
        except DocumentError as error:
            for path, expected in error.faults:
                typer.echo(f"{path}: {expected}", err=True)
            raise typer.Exit(error.exit_code) from None
        typer.echo(result)


def simulate(text: str, *, as_json: bool, reference: bool = False) -> str:
    """What `drawdown simulate` prints for a scenario. Raises DocumentError with every fault.

    `reference` runs the plain reference folds instead: the result is the same.
    """
    entries = parse_scenario(text)
    result = report(entries, run(entries, reference=reference))
    return to_json(result) if as_json else to_text(result)


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
