"""A worker writes nothing outside of its temporary folder: the image's file system is read-only."""

import os
from pathlib import Path

import pytest

from deploy.servers.find import Servers
from deploy.workers import WORKERS
from tests.bench.load import accounts, catalog
from tests.deploy.written import Writes
from tests.system.pipeline import running

pytestmark = [pytest.mark.integration]


def test_a_worker_writes_nothing(
    servers: Servers, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = Writes(tmp_path / "writes")
    path = (os.environ.get("PYTHONPATH", ""), str(Path.cwd()))
    for name, value in writes.environment(*path).items():
        monkeypatch.setenv(name, value)
    with running(servers, topic_prefix, tmp_path, progress_seconds="300") as pipeline:
        pipeline.apply([*catalog(), *accounts(3, 1_790_000_000_000_000)])
        pipeline.wait_until_settled(300)
        restarts = pipeline.restarts()
    assert restarts == dict.fromkeys(WORKERS, 0)
    assert writes.outside() == []
