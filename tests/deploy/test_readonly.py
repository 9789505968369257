"""A worker writes nothing outside of its temporary folder: the image's file system is read-only."""

import os
from pathlib import Path
from typing import Final

import pytest

from deploy.servers.find import Servers
from deploy.workers import WORKERS
from tests.bench.load import accounts, catalog
from tests.system.pipeline import running

pytestmark = [pytest.mark.integration]
_HOOK: Final = """
import os, sys
def told(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if isinstance(flags, int) else 0
        if not writes or isinstance(path, int):
            return
    elif event in ("os.mkdir", "os.rename", "os.symlink", "os.link", "os.truncate"):
        path = arguments[0]
    else:
        return
    line = f"{event} {os.fspath(path)!s}\\n".encode(errors="replace")
    os.write(descriptor, line)
descriptor = os.open(os.environ["TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
sys.addaudithook(told)
"""


def test_a_worker_writes_nothing(servers: Servers, topic_prefix: str, tmp_path: Path) -> None:
    """Python tells of every file that is opened to be written and every folder that is made."""
    hook, told = tmp_path / "hook", tmp_path / "told"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_HOOK)
    path = os.pathsep.join(
        [str(hook), *filter(None, [os.environ.get("PYTHONPATH")]), str(Path.cwd())]
    )
    environment = {"PYTHONPATH": path, "TOLD": str(told), "PYTHONDONTWRITEBYTECODE": "1"}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        with running(servers, topic_prefix, tmp_path) as pipeline:
            pipeline.apply([*catalog(), *accounts(3, 1_790_000_000_000_000)])
            pipeline.wait_until_settled(60)
            restarts = pipeline.restarts()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    assert restarts == dict.fromkeys(WORKERS, 0)
    allowed = ("/dev/", "/proc/")
    lines = [line.split(" ", 1)[1] for line in told.read_text().splitlines()]
    assert lines == [] or [each for each in lines if not each.startswith(allowed)] == []
