"""What the Dockerfile makes, without Docker: the same files built into a wheel, and installed.

A wheel holds what `pyproject.toml` says, not what lies in the folder, so a file that it leaves out
is missing in the image and nowhere else. It is installed beside this environment's dependencies:
nothing is downloaded.
"""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

from tests.deploy.tools import ROOT

DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()
_COPIED: Final = re.compile(r"^COPY (?!--)(.+) \S+$", re.MULTILINE)
_BUILD_SECONDS: Final = 300


def entrypoint() -> list[str]:
    """The image's entry point."""
    return _array(r"^ENTRYPOINT (\[.+\])$")


def health_check() -> list[str]:
    """The command that says whether a container is healthy."""
    return _array(r"^HEALTHCHECK [^[]*CMD (\[.+\])$")


def variables() -> dict[str, str]:
    """The image's environment, less its PATH."""
    found = re.search(r"^ENV ((?:.+\\\n)*.+)$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    pairs = (each.split("=", 1) for each in found[1].replace("\\\n", " ").split())
    return {name: value.strip('"') for name, value in pairs if name != "PATH"}


def _array(pattern: str) -> list[str]:
    found = re.search(pattern, DOCKERFILE, re.MULTILINE)
    assert found is not None, pattern
    listed: list[str] = json.loads(found[1])
    return listed


def copy_sources(to: Path) -> None:
    """What the Dockerfile copies of what `.dockerignore` leaves."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    out = {line for line in lines if re.fullmatch(r"\w+(/\w+)+", line)}

    def left_out(folder: str, names: list[str]) -> list[str]:
        inside = Path(folder).relative_to(ROOT)
        return [n for n in names if str(inside / n) in out or n == "__pycache__"]

    for name in " ".join(_COPIED.findall(DOCKERFILE)).split():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=left_out)
        else:
            shutil.copy(ROOT / name, to / name)


def build_wheel(folder: Path) -> Path:
    """The wheel, built as the Dockerfile builds it but by this environment's setuptools."""
    source = folder / "source"
    source.mkdir(parents=True)
    copy_sources(source)
    quiet = ("-q", "--disable-pip-version-check", "--no-index", "--no-deps")
    options = (*quiet, "--no-build-isolation", "-w", str(folder))
    _run(sys.executable, "-m", "pip", "wheel", *options, str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """An environment with the wheel in it, and this one's packages behind; gives its programs."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    quiet = ("-q", "--disable-pip-version-check", "--no-index", "--no-deps")
    _run(sys.executable, "-m", "pip", "--python", str(python), "install", *quiet, str(wheel))
    (packages,) = folder.glob("lib/python*/site-packages")
    here = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(here)) + "\n")
    return python.parent


def _run(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
