"""The command line: every command says what it does, and a process loads what it runs, no more."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from deploy import cli
from deploy.acl.command import REDIS_ROLES
from deploy.acl.lists import redis_roles
from deploy.reading.command import STAGES
from deploy.reading.rebuild import KINDS

ROOT: Final = Path(__file__).parents[2]
HEAVY: Final = {
    "aiohttp",
    "confluent_kafka",
    "fastapi",
    "faust",
    "polars",
    "prometheus_client",
    "pydantic",
    "redis",
    "rich",
    "starlette",
    "uvicorn",
    "yaml",
}
NOWHERE: Final = {"DRAWDOWN_HEALTH_HOST": "203.0.113.1"}
"""An address that no machine has (RFC 5737): a worker ends when it binds, all of it loaded."""
OPEN: Final = {"DRAWDOWN_GATEWAY_HOST": "0.0.0.0", "DRAWDOWN_API_HOST": "0.0.0.0"}
"""Refused without keys, with all of it loaded."""


def commands() -> list[tuple[str, ...]]:
    """Every command and every group, as they are typed; the first is `drawdown` itself."""
    found: list[tuple[tuple[str, ...], Any]] = [((), get_command(cli.app))]
    for path, command in found:  # grows while it is walked
        below = getattr(command, "commands", {})
        found.extend(((*path, name), each) for name, each in below.items())
    return [path for path, _ in found]


def loaded(code: str, *arguments: str, **environment: str) -> set[str]:
    """The modules of a fresh interpreter that has run `code`."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('LOADED', *sys.modules)", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = [each for each in ran.stdout.splitlines() if each.startswith("LOADED ")]
    return set(line.split()[1:])


@pytest.mark.parametrize("command", commands(), ids=lambda path: " ".join(path) or "drawdown")
def test_every_command_says_what_it_does(command: tuple[str, ...]) -> None:
    said = CliRunner().invoke(cli.app, [*command, "--help"], prog_name="drawdown")
    assert said.exit_code == 0, said.output
    assert " ".join(("Usage: drawdown", *command)) in " ".join(said.output.split())


def test_a_release_says_which_it_is() -> None:
    said = CliRunner().invoke(cli.app, ["--version"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (said.exit_code, said.output) == (0, f"drawdown {project['version']}\n")


def test_all_commands_are_walked() -> None:
    assert {(), ("up",), ("acl", "kafka"), ("webhooks", "replay")} <= set(commands())


def test_the_command_line_itself_loads_none_of_them() -> None:
    modules = loaded("import deploy.cli")
    assert "typer" in modules
    assert modules & HEAVY == set()


RUN: Final = """
from deploy.cli import app
try:
    app(sys.argv[1:])
except BaseException as error:
    print(type(error).__name__, error)
else:
    raise AssertionError("it was meant to end")
"""


@pytest.mark.parametrize(
    ("command", "environment", "own", "foreign"),
    [
        ("worker admission", NOWHERE, "processors.admission.process", "faust fastapi uvicorn rich"),
        ("worker rating", NOWHERE, "processors.rating.stage", "fastapi uvicorn starlette rich"),
        ("worker balances", NOWHERE, "projections.balances.stage", "fastapi uvicorn processors"),
        ("exporter", NOWHERE, "projections.balances.scan", "faust fastapi uvicorn rich"),
        ("gateway", OPEN, "uvicorn", "polars faust fastapi aiohttp rich processors"),
        ("api", OPEN, "fastapi", "faust aiohttp rich processors"),
        ("webhooks", {}, "aiohttp", "faust fastapi uvicorn starlette rich processors"),
        ("settings", {}, "pydantic", "polars redis confluent_kafka prometheus_client"),
        ("apply --dry-run /dev/null", {}, "ingest.documents", "faust fastapi uvicorn processors"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_process_loads_what_it_runs(
    command: str, environment: dict[str, str], own: str, foreign: str
) -> None:
    modules = loaded(RUN, *command.split(), **environment)
    assert own in modules
    assert modules & set(foreign.split()) == set()


def test_names_in_the_options_are_those_of_the_tables() -> None:
    assert list(REDIS_ROLES) == redis_roles()
    assert set(STAGES) == KINDS.keys()
