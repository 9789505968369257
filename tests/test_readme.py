"""The README's transcript is what the command prints, and its example is the file it names."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from deploy.cli import app

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text()


def _block(language: str, after: str) -> str:
    found = re.search(rf"{re.escape(after)}.*?```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None, (language, after)
    return found[1]


def test_the_example_is_the_scenario_file() -> None:
    """Both show the same timeline."""
    assert (ROOT / "tests/scenarios/readme.yaml").read_text() == _block("yaml", "## A grant")


def test_the_transcript_is_what_simulate_prints() -> None:
    """The command in the transcript's comment, run."""
    command = re.search(r"<!-- transcript: drawdown (.*?) -->", README)
    assert command is not None
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.cli", *command[1].split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert _block("json", command[0]) == ran.stdout


def test_every_command_of_the_readme_exists() -> None:
    """`drawdown NAME …` in the README's shell examples answers --help."""
    names = set(re.findall(r"^drawdown ([a-z]+)", README, re.MULTILINE))
    assert {"up", "apply", "send", "balance", "reconcile"} <= names
    for name in sorted(names):
        ran = CliRunner().invoke(app, [name, "--help"])
        assert ran.exit_code == 0, (name, ran.output)
