"""The wheel that the image is made of works by itself, outside of the source tree."""

import os
import zipfile
from pathlib import Path
from typing import Final

import pytest

from deploy.provision import create_topics
from deploy.servers.find import Servers
from deploy.servers.process import LOOPBACK, free_port
from projections.access import KafkaAccess
from projections.delivery.files import save_subscriptions
from projections.delivery.subscriptions import Subscriptions
from tests.deploy.container import Container
from tests.deploy.image import build_wheel, copy_sources, entrypoint, install, variables
from tests.deploy.written import Writes

_PACKAGES: Final = ("deploy", "ingest", "processors", "projections", "schemas")
_PROCESSES: Final = {
    "admission": ("worker", "admission"),
    "rating": ("worker", "rating"),
    "balances": ("worker", "balances"),
    "webhooks": ("webhooks",),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("installed") / "drawdown")


def contained(programs: Path, folder: Path, *command: str, **environment: str) -> Container:
    """A command of the image."""
    path = os.pathsep.join([str(programs), "/usr/bin", "/bin"])
    given = {**variables(), "HOME": str(folder), "PATH": path, **environment}
    return Container(" ".join(command), [*entrypoint(), *command], given, folder / "log")


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path, tmp_path: Path) -> None:
    """All but what is for readers of the source: README files."""
    copy_sources(tmp_path)
    files = (path for name in _PACKAGES for path in (tmp_path / name).rglob("*") if path.is_file())
    wanted = {str(path.relative_to(tmp_path)) for path in files if path.suffix != ".md"}
    assert {Path(each).suffix for each in wanted} >= {".lua", ".json", ".yaml", ".xml", ".py"}
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())
    assert sorted(wanted - held) == []


def test_nothing_of_the_tests_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        tops = {name.partition("/")[0] for name in opened.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(_PACKAGES)


def test_what_is_installed_is_what_runs(programs: Path, tmp_path: Path) -> None:
    """Else the source tree, of which this environment may know, would be tested."""
    asked = contained(programs, tmp_path)
    asked.command = ["python", "-c", "import deploy, schemas; print(deploy.__file__)"]
    done = asked.run()
    assert done.stdout.startswith(str(programs.parent)), done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("acl redis", "-@all"),
        ("acl kafka", "--allow-principal User:drawdown-admission"),
        ("schema --check", ""),
        ("settings", "DRAWDOWN_KAFKA="),
    ],
)
def test_a_command_that_reads_its_files_works(
    programs: Path, tmp_path: Path, command: str, said: str
) -> None:
    done = contained(programs, tmp_path, *command.split()).run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout


@pytest.mark.integration
@pytest.mark.parametrize("name", _PROCESSES)
def test_a_process_gets_healthy_and_writes_nothing(
    programs: Path, tmp_path: Path, servers: Servers, topic_prefix: str, name: str
) -> None:
    create_topics(KafkaAccess(servers.kafka), topic_prefix, 2, 1)
    subscriptions, port = tmp_path / "subscriptions.json", free_port()
    save_subscriptions(subscriptions, Subscriptions())
    writes = Writes(tmp_path / "writes")
    process = contained(
        programs,
        tmp_path,
        *_PROCESSES[name],
        **writes.environment(),
        DRAWDOWN_KAFKA=servers.kafka,
        DRAWDOWN_REDIS_URL=servers.redis_url,
        DRAWDOWN_TOPIC_PREFIX=topic_prefix,
        DRAWDOWN_KEY_PREFIX=topic_prefix,
        DRAWDOWN_PARTITIONS="2",
        DRAWDOWN_HEALTH_PORT=str(port),
        DRAWDOWN_WEBHOOKS_FILE=str(subscriptions),
        HEALTH_URL=f"http://{LOOPBACK}:{port}/readyz",
    )
    process.start()
    try:
        process.wait_until_healthy()
    finally:
        process.stop()
    assert writes.outside() == []
