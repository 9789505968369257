"""The compose file, the image and what they name: read by compose's own reader and by hadolint."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.acl.lists import redis_line, redis_roles
from deploy.servers.apache import kafka_version
from deploy.settings import HEALTH_PORTS, Settings
from projections.delivery.files import load_subscriptions
from projections.delivery.subscriptions import Subscriptions
from tests.deploy.tools import ROOT, run, tool

FILE: Final = ROOT / "deploy" / "compose.yaml"
SERVICES: Final[dict[str, dict[str, Any]]] = yaml.safe_load(FILE.read_text())["services"]
ONE_SHOT: Final = {"secrets", "topics"}
TOOLS: Final = {"command", "keys", "rebuild", "subscriptions"}
LONG: Final = sorted(SERVICES.keys() - ONE_SHOT - TOOLS)
_PASSWORDS: Final = {f"secrets-{role}" for role in redis_roles()}
OURS: Final = sorted(name for name in SERVICES if "build" in SERVICES[name])


def test_compose_itself_reads_it() -> None:
    read = run(tool("compose"), "-format", "json", str(FILE))
    assert read.returncode == 0, read.stderr
    assert set(json.loads(read.stdout)["services"]) == set(SERVICES)


def test_compose_itself_refuses_what_is_not_of_the_form(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    wrong = yaml.safe_load(FILE.read_text())
    wrong["services"]["redis"]["helthcheck"] = {}
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(wrong))
    assert run(tool("compose"), str(tmp_path / "compose.yaml")).returncode != 0


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = run(str(hadolint), "--failure-threshold", "info", "Dockerfile")
    assert found.returncode == 0, found.stdout


def test_what_makes_the_secrets_is_a_script() -> None:
    assert run("sh", "-n", "deploy/compose/secrets.sh").returncode == 0


def test_the_secrets_are_made_once(tmp_path: Path) -> None:
    """The script itself, with another folder and this interpreter's `drawdown`."""
    text = (ROOT / "deploy/compose/secrets.sh").read_text()
    script = tmp_path / "secrets.sh"
    script.write_text(text.replace("/secrets/", f"{tmp_path}/"))
    roles = redis_roles()
    for name in (*roles, "redis", "grafana", "subscriptions", "keys"):
        (tmp_path / name).mkdir()
    program = tmp_path / "bin"
    program.mkdir()
    (program / "drawdown").write_text(f'#!/bin/sh\nexec {sys.executable} -m deploy.cli "$@"\n')
    (program / "drawdown").chmod(0o755)
    passwords_of = [f"{role}/redis" for role in roles]
    files = ["grafana/admin", "redis/admin", "redis/users.acl", "keys/keys.json", *passwords_of]
    files += ["subscriptions/subscriptions.json"]
    before: dict[str, bytes] = {}
    for _ in range(2):
        done = run("sh", str(script), PATH=f"{program}:/usr/bin:/bin", PYTHONPATH=str(ROOT))
        assert done.returncode == 0, done.stderr
        now = {name: (tmp_path / name).read_bytes() for name in files}
        assert before in ({}, now)
        before = now
    passwords = {role: before[f"{role}/redis"].decode() for role in roles}
    assert len(set(passwords.values())) == len(roles)
    lines = before["redis/users.acl"].decode().splitlines()
    assert lines[0] == "user default off resetpass ~* &* +@all"
    made = [redis_line(f"drawdown-{r}", r, "drawdown", passwords[r]) for r in roles]
    assert lines[1:-2] == made
    admin = sha256(before["redis/admin"]).hexdigest()
    assert lines[-2] == f"user admin on #{admin} ~* &* +@all"
    for role, password in passwords.items():
        assert len(password) == 43
        assert password not in before["redis/users.acl"].decode()
        assert (tmp_path / role / "redis").stat().st_mode & 0o077 == 0
    assert load_subscriptions(tmp_path / "subscriptions/subscriptions.json") == Subscriptions()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is (name != "kafka")
    assert "mem_limit" in service
    assert name in OURS or service["user"].split(":")[0] != "0"
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), port
    if name not in OURS:
        tag = service["image"].rpartition(":")[2]
        assert any(each.isdigit() for each in tag), f"{tag} is no version"


@pytest.mark.parametrize("name", LONG)
def test_a_service_tells_its_health(name: str) -> None:
    """Ours by the image's own check, of the address that the service names."""
    service = SERVICES[name]
    if name in OURS:
        assert service["environment"]["HEALTH_URL"].startswith("http://127.0.0.1:")
        assert "healthcheck" not in service
    else:
        assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(ONE_SHOT))
def test_what_ends_is_waited_for_by_what_stays(name: str) -> None:
    """`up --wait` takes an end for a failure, unless a service that stays depends on it."""
    wanted = {"condition": "service_completed_successfully"}
    assert any(SERVICES[each].get("depends_on", {}).get(name) == wanted for each in LONG)


def test_no_secret_stands_in_an_environment() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            secret = "PASSWORD" in name and not name.endswith("_FILE")
            assert not secret, (name, value)


def test_a_secret_is_mounted_where_it_is_needed_only() -> None:
    volumes = {each.partition(":")[0] for n in LONG for each in SERVICES[n]["volumes"]}
    held = {
        volume: {n for n in LONG if any(v.startswith(f"{volume}:") for v in SERVICES[n]["volumes"])}
        for volume in volumes
        if volume.startswith("secrets-") or volume in {"keys", "subscriptions"}
    }
    assert held == {
        "secrets-worker": {"admission", "rating", "balances"},
        "secrets-api": {"api"},
        "secrets-webhooks": {"webhooks"},
        "secrets-exporter": {"exporter"},
        "secrets-redis": {"redis"},
        "secrets-grafana": {"grafana"},
        "subscriptions": {"webhooks"},
        "keys": {"gateway", "api"},
    }
    for name in LONG:
        own = (each for each in SERVICES[name]["volumes"] if each.partition(":")[0] in held)
        assert all(each.endswith(":ro") for each in own), name


@pytest.mark.parametrize("name", sorted({*LONG, *TOOLS}))
def test_a_process_is_a_user_of_its_role(name: str) -> None:
    """The one that reaches Redis mounts the password of that role, and of no other."""
    environment = SERVICES[name].get("environment", {})
    mounted = [each for each in SERVICES[name]["volumes"] if each.partition(":")[0] in _PASSWORDS]
    if "DRAWDOWN_REDIS_URL" not in environment:
        assert mounted == []
        return
    role = {"admission": "worker", "rating": "worker", "balances": "worker", "rebuild": "worker"}
    role |= {"subscriptions": "webhooks", "command": "reader"}
    wanted = role.get(name, name)
    assert environment["DRAWDOWN_REDIS_USERNAME"] == f"drawdown-{wanted}"
    assert environment["DRAWDOWN_REDIS_PASSWORD_FILE"] == f"/secrets/{wanted}/redis"
    assert mounted == [f"secrets-{wanted}:/secrets/{wanted}:ro"]


@pytest.mark.parametrize(
    "command",
    [
        "topics",
        "worker",
        "gateway",
        "keys",
        "acl",
        "api",
        "webhooks",
        "exporter",
        "rebuild",
        "subscriptions",
    ],
)
def test_a_command_that_it_runs_exists(command: str) -> None:
    used = {service["command"][0] for service in SERVICES.values() if service.get("command")}
    assert command in used | {"keys", "acl", "subscriptions"}
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.cli", command, "--help"], cwd=ROOT, check=False
    )
    assert ran.returncode == 0


def test_every_setting_exists() -> None:
    known = {f"DRAWDOWN_{name.upper()}" for name in Settings.model_fields}
    known |= {"DRAWDOWN_API_HOST"}
    for service in (SERVICES[name] for name in OURS):
        given = {each for each in service.get("environment", {}) if each.startswith("DRAWDOWN_")}
        assert given <= known


@pytest.mark.parametrize(
    "path",
    [
        "Dockerfile",
        "deploy/compose/secrets.sh",
        "deploy/compose/prometheus.yml",
        "deploy/compose/grafana-datasource.yaml",
        "deploy/prometheus/recording.yaml",
        "deploy/prometheus/alerting.yaml",
        "deploy/grafana/provisioning/dashboards",
        "deploy/grafana/dashboards",
    ],
)
def test_a_file_that_it_mounts_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_process_is_scraped() -> None:
    jobs = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())["scrape_configs"]
    found: dict[str, int] = {}
    for job in jobs:
        for each in job.get("dns_sd_configs", ()):
            found |= dict.fromkeys(each["names"], each["port"])
        for each in job.get("static_configs", ()):
            found |= {t.partition(":")[0]: int(t.partition(":")[2]) for t in each["targets"]}
    ports = {
        name: int(SERVICES[name]["environment"]["HEALTH_URL"].split(":")[2].partition("/")[0])
        for name in OURS
        if name in LONG
    }
    assert found == ports
    for name in HEALTH_PORTS.keys() - {"supervisor"}:  # compose itself restarts what ends
        assert ports[name] == HEALTH_PORTS[name]


def test_kafka_is_the_version_that_is_tested() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka_version()}"


def test_redis_keeps_what_it_has_and_evicts_nothing() -> None:
    command = SERVICES["redis"]["command"]
    given = dict(zip(command[1::2], command[2::2], strict=True))
    assert given["--appendonly"] == "yes"
    assert given["--appendfsync"] == "everysec"
    assert given["--maxmemory-policy"] == "noeviction"
