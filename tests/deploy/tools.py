"""The tools that read what `deploy` holds, as `.ci/tools` builds them, or as they are installed."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.system.pipeline import in_ci

ROOT: Final = Path(__file__).parents[2]


def tool(name: str) -> str:
    """The path of a tool. In CI it must be there; elsewhere its tests are left out without it."""
    cache = os.environ.get("DRAWDOWN_CACHE") or Path.home() / ".cache" / "drawdown"
    built = Path(cache) / "tools" / name
    found = str(built) if built.is_file() else shutil.which(name)
    if found is None:
        assert not in_ci(), f"{name} is missing: .ci/tools builds it"
        pytest.skip(f"{name} is not here: .ci/tools builds it")
    return found


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a tool in the repository's folder."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
