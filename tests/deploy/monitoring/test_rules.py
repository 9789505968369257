"""Recording and alerting rules: valid, tested by promtool, and each alert says what to do."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy.monitoring.prometheus import SHIPPED, binary

HERE: Final = Path(__file__).parent
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


def test_promtool_accepts_the_configuration() -> None:
    promtool("check", "config", str(SHIPPED / "prometheus.yml"))


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
