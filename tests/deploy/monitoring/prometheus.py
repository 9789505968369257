"""A real Prometheus on loopback, from the machine's package, with the shipped configuration."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.servers.process import ServerProcess, answers, free_port
from tests.system.pipeline import in_ci

SHIPPED: Final = Path(__file__).parents[3] / "deploy" / "prometheus"
_READY: Final = b"GET /-/ready HTTP/1.0\r\n\r\n"


def binary(name: str) -> str:
    """The path of `prometheus` or `promtool`; without it the test is skipped, in CI it fails."""
    found = shutil.which(name)
    if found is None:
        missing = f"{name} is not installed (Debian: apt install prometheus)"
        if in_ci():
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def configuration(targets: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """The shipped configuration, each second, with the ports of `targets` by job."""
    shipped: dict[str, Any] = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    shipped["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    shipped["rule_files"] = [str(SHIPPED / name) for name in shipped["rule_files"]]
    assert {job["job_name"] for job in shipped["scrape_configs"]} == set(targets)
    for job in shipped["scrape_configs"]:
        places = [f"127.0.0.1:{port}" for port in targets[job["job_name"]]]
        job["static_configs"] = [{"targets": places}]
    return shipped


@contextmanager
def scraping(folder: Path, targets: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """A Prometheus that scrapes `targets`; gives its address."""
    port = free_port()
    folder.mkdir(parents=True)
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration(targets)))
    server = ServerProcess(
        "prometheus",
        [
            binary("prometheus"),
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
        ],
        folder / "prometheus.log",
        lambda: answers(port, _READY, b"HTTP/1.0 200"),
    )
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
