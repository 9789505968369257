"""The dashboards: what the script makes, whole, and made of metrics that exist."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from deploy.grafana.generate import DASHBOARDS, dashboard_json, files
from projections import metrics
from tests.deploy.monitoring.prometheus import SHIPPED
from tests.deploy.monitoring.test_rules import rules

UIDS: Final = ["drawdown-pipeline", "drawdown-credits", "drawdown-on-call"]
OF_THE_CLIENT: Final = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}
OF_PROMETHEUS: Final = {"up", "ALERTS"}
EXPLAINED: Final = {"drawdown_build_info": "for who upgrades: the runbook has the query"}
"""Metrics on no dashboard and in no rule, and why they are there."""

RECORDED: Final = {rule["record"] for rule in rules("recording.yaml")}
EXISTING: Final = {
    metric._name: metric
    for metric in vars(metrics).values()
    if hasattr(metric, "_name") and hasattr(metric, "collect")
}
_NAME: Final = re.compile(r"(?<![\w:\"])([a-z_]+:[\w:]+|(?:drawdown|process)_\w+)(?=[\s{\[)]|$)")
_SUFFIXES: Final = {
    "counter": {"_total"},
    "gauge": {""},
    "histogram": {"_bucket", "_sum", "_count"},
}
MODELS: Final = [dashboard_json(each) for each in DASHBOARDS]


def shown() -> Iterator[tuple[str, dict[str, Any]]]:
    """(dashboard, panel) of every panel that is not a heading."""
    for model in MODELS:
        for panel in model["panels"]:
            if panel["type"] != "row":
                yield model["uid"], panel


PANELS: Final = [pytest.param(panel, id=f"{uid} {panel['title']}") for uid, panel in shown()]
EXPRESSIONS: Final = {
    **{
        f"{uid} {panel['title']} {target['refId']}": target["expr"]
        for uid, panel in shown()
        for target in panel["targets"]
    },
    **{rule["record"]: rule["expr"] for rule in rules("recording.yaml")},
    **{rule["alert"]: rule["expr"] for rule in rules("alerting.yaml")},
}


def series_of(expr: str) -> set[str]:
    """The metrics and recorded series that PromQL names."""
    return set(_NAME.findall(expr))


def exists(name: str) -> bool:
    """Whether the table, the rules, the client or Prometheus itself make a series of this name."""
    if name in RECORDED or name in OF_THE_CLIENT or name in OF_PROMETHEUS:
        return True
    base = re.sub(r"_(total|bucket|sum|count)$", "", name)
    suffix = name[len(base) :]
    families = EXISTING[base].collect() if base in EXISTING else ()
    return any(suffix in _SUFFIXES[family.type] for family in families)


def test_the_files_are_what_the_script_makes() -> None:
    for path, text in files().items():
        assert path.read_text() == text, "run: python -m deploy.grafana.generate"


def test_uids_never_change_and_dashboards_link_to_each_other() -> None:
    assert [model["uid"] for model in MODELS] == UIDS
    for model in MODELS:
        others = [f"/d/{uid}" for uid in UIDS if uid != model["uid"]]
        assert [link["url"] for link in model["links"]] == others


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["legendFormat"]


@pytest.mark.parametrize("model", MODELS, ids=UIDS)
def test_panels_do_not_overlap(model: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in model["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in model["panels"]}) == len(model["panels"])


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_what_a_query_names_exists(where: str) -> None:
    found = series_of(EXPRESSIONS[where])
    assert found or re.search(r"\b(up|ALERTS)\{", EXPRESSIONS[where])
    assert {name for name in found if not exists(name)} == set()


def test_names_are_found_in_queries() -> None:
    """The test above would pass on queries that it cannot read."""
    rate = 'sum by (le) (rate(drawdown_x_bucket{a="drawdown_y"}[5m]))'
    found = series_of(f"{rate} / a_b:drawdown_z:sum > drawdown_v")
    assert found == {"drawdown_x_bucket", "a_b:drawdown_z:sum", "drawdown_v"}
    assert not exists("drawdown_events")
    assert not exists("drawdown_nothing_total")
    assert exists("drawdown_events_total")


def test_every_metric_is_shown_or_ruled_on_or_explained() -> None:
    used = {name for expr in EXPRESSIONS.values() for name in series_of(expr)}
    bases = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in used}
    assert set(EXISTING) - bases == set(EXPLAINED)


def test_provisioning_names_one_folder_and_one_datasource() -> None:
    folder = SHIPPED.parent / "grafana" / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())
    assert [source["type"] for source in sources["datasources"]] == ["prometheus"]
    providers = yaml.safe_load((folder / "dashboards" / "drawdown.yaml").read_text())
    assert [provider["type"] for provider in providers["providers"]] == ["file"]
