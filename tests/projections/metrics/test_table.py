"""The table of metrics: names, units, labels and help of every one of them."""

import re

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric

from projections import metrics
from projections.metrics import series
from projections.metrics.batched import BatchHistogram

UNITS = {
    "accounts",
    "alerts",
    "attempts",
    "bytes",
    "commands",
    "commits",
    "credits",
    "deliveries",
    "ends",
    "errors",
    "events",
    "frames",
    "grants",
    "info",
    "keys",
    "letters",
    "money",
    "records",
    "requests",
    "rows",
    "seconds",
    "subscriptions",
    "workers",
}
LABELS = {
    "answer",
    "cause",
    "kind",
    "stage",
    "outcome",
    "reason",
    "partition",
    "step",
    "type",
    "product",
    "posting",
    "currency",
    "part",
    "worker",
    "route",
    "status",
    "version",
}
NAMES = {
    metric._name: metric
    for metric in vars(metrics).values()
    if hasattr(metric, "_name") and hasattr(metric, "collect")
}


def families() -> list[Metric]:
    """Every family of ours that the registry knows."""
    return [each for each in REGISTRY.collect() if each.name.startswith("drawdown")]


def test_the_registry_holds_what_the_table_declares_and_nothing_else() -> None:
    assert {each.name for each in families()} == set(NAMES)


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_a_metric_is_named_by_prometheus_rules(family: Metric) -> None:
    """A prefix, words, the unit last; a counter's `_total` is the client's to add."""
    assert re.fullmatch(r"drawdown(_[a-z]+)+", family.name)
    assert family.name.rsplit("_", 1)[1] in UNITS
    assert family.type in {"counter", "gauge", "histogram"}


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_a_metric_says_what_it_is(family: Metric) -> None:
    assert re.fullmatch(r"[A-Z].+\.", family.documentation)
    unit = family.name.rsplit("_", 1)[1]
    if unit in {"seconds", "bytes", "credits", "grants", "accounts", "keys", "rows", "records"}:
        assert unit[:-1] in family.documentation.lower()


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_few_and_none_is_an_account(name: str) -> None:
    metric = NAMES[name]
    labels = () if isinstance(metric, BatchHistogram) else metric._labelnames
    assert set(labels) <= LABELS
    assert isinstance(metric, BatchHistogram) or labels, "a process shows only what it observes"


def test_reasons_of_redis_and_kafka_are_those_that_are_shown() -> None:
    from projections.metrics.errors import _KAFKA, _REDIS

    assert {reason for _, reason in _REDIS} | {"other"} == set(series.REDIS_REASONS)
    shown = set(series.KAFKA_REASONS)
    assert set(_KAFKA.values()) | {"unavailable", "other"} == shown
