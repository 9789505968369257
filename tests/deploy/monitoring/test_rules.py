"""Recording and alerting rules: valid, tested by promtool, and each alert says what to do."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.settings import HEALTH_PORTS, load_settings
from tests.deploy.monitoring.prometheus import SHIPPED, binary
from tests.deploy.test_chart import of_kind

HERE: Final = Path(__file__).parent
COMPOSE: Final = SHIPPED.parent / "compose.yaml"
RUNBOOK: Final = (SHIPPED.parent / "README.md").read_text()
CASES: Final = yaml.safe_load((HERE / "rules_test.yaml").read_text())["tests"]


def rules(name: str) -> list[dict[str, Any]]:
    """Every rule of a file."""
    groups = yaml.safe_load((SHIPPED / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS: Final = {rule["alert"]: rule for rule in rules("alerting.yaml")}


def promtool(*arguments: str) -> str:
    """What promtool says; it must be content."""
    command = [binary("promtool"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_promtool_accepts_the_rules() -> None:
    files = (SHIPPED / name for name in ("recording.yaml", "alerting.yaml"))
    said = promtool("check", "rules", *map(str, files))
    assert f"{len(ALERTS)} rules found" in said


def test_the_chart_brings_every_rule(tmp_path: Path) -> None:
    """By itself, and further groups after them; promtool is content with the whole."""
    (rule,) = of_kind("everything", "PrometheusRule").values()
    groups = rule["spec"]["groups"]
    files = ("recording.yaml", "alerting.yaml")
    shipped = [
        each for name in files for each in yaml.safe_load((SHIPPED / name).read_text())["groups"]
    ]
    assert groups[:-1] == shipped
    assert groups[-1] == {"name": "more", "rules": [{"alert": "A", "expr": "up == 0"}]}
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(yaml.safe_dump({"groups": groups}))
    found = sum(len(rules(name)) for name in files) + 1
    assert f"{found} rules found" in promtool("check", "rules", str(rendered))


def test_promtool_accepts_the_configuration() -> None:
    promtool("check", "config", str(SHIPPED / "prometheus.yml"))


def test_promtool_accepts_the_configuration_of_compose(tmp_path: Path) -> None:
    """With the rules beside it, as the compose file mounts them; `check config` reads them too."""
    mounted = re.findall(r"\./(\S+):/etc/prometheus/(\S+):ro", COMPOSE.read_text())
    for file, name in mounted:
        shutil.copyfile(COMPOSE.parent / file, tmp_path / name)
    said = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert f"{len(ALERTS)} rules found" in said
    assert f"{len(rules('recording.yaml'))} rules found" in said


def test_every_process_with_metrics_is_scraped() -> None:
    """By both configurations, at the ports that it has; compose starts no supervisor."""
    settings = load_settings()
    ports = {*HEALTH_PORTS.values(), settings.gateway_port, settings.api_port}
    here = (SHIPPED / "prometheus.yml").read_text()
    assert {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", here)} == ports
    there = yaml.safe_load((SHIPPED.parent / "compose" / "prometheus.yml").read_text())
    found = set(map(int, re.findall(r"\b\d{4}\b", json.dumps(there["scrape_configs"]))))
    assert found == ports - {HEALTH_PORTS["supervisor"]}


def test_prometheus_of_compose_keeps_exemplars() -> None:
    service = yaml.safe_load(COMPOSE.read_text())["services"]["prometheus"]
    assert "--enable-feature=exemplar-storage" in service["command"]


def test_promtool_runs_every_case() -> None:
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yaml")


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_seen_to_fire_and_not_to_fire(name: str) -> None:
    (case,) = [case for case in CASES if case["name"] == name]
    asked = {bool(each["exp_samples"]): each["expr"] for each in case["promql_expr_test"]}
    expr = f'ALERTS{{alertname="{name}", alertstate="firing"}}'
    assert asked == {False: expr, True: expr}


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"deploy/README.md#{name.lower()}"


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_its_paragraph_in_the_runbook(name: str) -> None:
    found = re.search(rf"^### {name}\n\n(.+?)\n(?=\n#|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert len(found[1]) > 100, "a sentence or two on what it means and what to do"


def test_the_runbook_speaks_of_no_other_alert() -> None:
    assert set(re.findall(r"^### (Drawdown\w+)", RUNBOOK, re.MULTILINE)) == set(ALERTS)


def test_the_rules_find_the_processes_of_the_chart() -> None:
    """By their job, which Prometheus' operator takes from this label of the service."""
    (monitor,) = of_kind("everything", "ServiceMonitor").values()
    label = monitor["spec"]["jobLabel"]
    services = of_kind("everything", "Service").values()
    assert {each["metadata"]["labels"][label] for each in services} == {"drawdown"}
