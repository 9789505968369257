"""A whole column in a histogram: the same buckets as one value at a time."""

import math
from bisect import bisect_left

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as plain_families
from prometheus_client.samples import Exemplar

from projections.metrics.batched import Ages, BatchHistogram, ages
from projections.metrics.page import page

BOUNDS = (0.5, 1.0, 60.0)
NOW = 1_800_000_000_000_000
OPENMETRICS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""What Prometheus 2.42 asks for."""


@given(st.lists(st.integers(-3_000_000, 100_000_000), min_size=1, max_size=200))
def test_a_column_counts_as_its_values_do(spans: list[int]) -> None:
    """`spans` are ages in microseconds; a bound belongs to its bucket."""
    spans.sort(reverse=True)
    found = ages(pl.Series([NOW - span for span in spans], dtype=pl.Int64), NOW, BOUNDS)
    buckets = [bisect_left([int(bound * 1_000_000) for bound in BOUNDS], span) for span in spans]
    assert found.counts == [buckets.count(index) for index in range(len(BOUNDS) + 1)]
    assert found.oldest == {bucket: buckets.index(bucket) for bucket in set(buckets)}
    assert math.isclose(found.seconds, sum(max(0, span) for span in spans) / 1_000_000)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def histogram(registry: CollectorRegistry) -> BatchHistogram:
    return BatchHistogram("drawdown_test_seconds", "Seconds.", BOUNDS, registry)


def test_nothing_is_shown_before_the_start(
    registry: CollectorRegistry, histogram: BatchHistogram
) -> None:
    assert b"drawdown_test_seconds_count" not in page("", registry)[0]
    histogram.start()
    assert b"drawdown_test_seconds_count 0.0" in page("", registry)[0]


def test_batches_add_up(registry: CollectorRegistry, histogram: BatchHistogram) -> None:
    histogram.observe(Ages([1, 0, 2, 0], 70.0, {}), {})
    histogram.observe(Ages([0, 1, 0, 1], 90.0, {}), {})
    (family,) = plain_families(page("", registry)[0].decode())
    found = {(sample.name[21:], sample.labels.get("le")): sample.value for sample in family.samples}
    assert found == {
        ("_bucket", "0.5"): 1,
        ("_bucket", "1.0"): 2,
        ("_bucket", "60.0"): 4,
        ("_bucket", "+Inf"): 5,
        ("_count", None): 5,
        ("_sum", None): 160,
    }


def test_exemplars_come_where_openmetrics_is_asked_for(
    registry: CollectorRegistry, histogram: BatchHistogram
) -> None:
    exemplar = Exemplar({"journal": "1/7/3"}, 42.0, 1_800_000_000.5)
    histogram.observe(Ages([0, 0, 1, 0], 42.0, {2: 0}), {2: exemplar})
    body, kind = page(OPENMETRICS, registry)
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    (family,) = openmetrics_families(body.decode())  # type: ignore[no-untyped-call]
    found = {sample.labels["le"]: sample.exemplar for sample in family.samples if sample.exemplar}
    assert list(found) == ["60.0"]
    assert found["60.0"].labels == {"journal": "1/7/3"}
    assert found["60.0"].value == 42.0
    plain, kind = page("text/plain", registry)
    assert kind.startswith("text/plain")
    assert b"journal" not in plain
