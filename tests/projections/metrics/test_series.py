"""Which series a process shows: known ones at zero, those of owned partitions, not too many."""

from http import HTTPStatus
from importlib.metadata import version

from prometheus_client import REGISTRY

from projections import metrics
from projections.metrics.series import OTHER, Bounded, Owned, begin, begin_gateway, begin_webhooks


def value(name: str, **labels: str) -> float | None:
    """A sample of the registry; None where there is no such series."""
    return REGISTRY.get_sample_value(name, labels)


def test_what_may_be_counted_stands_at_zero() -> None:
    begin("test-zero", ("line",), ("fold",))
    for outcome in ("line", "no_rate", "duplicate"):
        assert value("drawdown_events_total", stage="test-zero", outcome=outcome) == 0
    assert value("drawdown_step_seconds_total", stage="test-zero", step="fold") == 0
    assert value("drawdown_redis_errors_total", stage="test-zero", reason="timeout") == 0
    assert value("drawdown_kafka_errors_total", stage="test-zero", reason="transport") == 0
    assert value("drawdown_commits_total", stage="test-zero") == 0


def test_a_process_says_which_release_it_is() -> None:
    begin("test-release")
    assert value("drawdown_build_info", stage="test-release", version=version("drawdown")) == 1


def test_a_process_without_batches_has_its_errors_only() -> None:
    begin("test-errors")
    assert value("drawdown_redis_errors_total", stage="test-errors", reason="other") == 0
    assert value("drawdown_commits_total", stage="test-errors") is None


def test_a_dispatcher_shows_its_commits_for_rules_of_every_stage() -> None:
    begin_webhooks("test-webhooks")
    assert value("drawdown_commits_total", stage="test-webhooks") == 0
    assert value("drawdown_webhook_deliveries_total", outcome="delivered") is not None


def test_a_gateway_shows_its_routes_events_and_errors() -> None:
    begin_gateway("test-gateway", {"/v1/test": HTTPStatus.ACCEPTED})
    name = "drawdown_gateway_requests_total"
    for status in ("202", "503"):
        assert value(name, route="/v1/test", status=status) == 0
    assert value("drawdown_gateway_request_seconds_count", route="/v1/test") == 0
    for outcome in ("accepted", "forbidden"):
        assert value("drawdown_gateway_events_total", outcome=outcome) == 0
    assert value("drawdown_gateway_pending_events", stage="test-gateway") == 0
    assert value("drawdown_redis_errors_total", stage="test-gateway", reason="other") == 0


def test_a_partition_that_went_to_another_worker_is_no_longer_told() -> None:
    owned = Owned("balances")
    owned.only([7_001, 7_002])
    for number in (7_001, 7_002):
        metrics.LAG_RECORDS.labels("balances", number).set(5)
        metrics.LAG_SECONDS.labels("balances", number).set(1)
        metrics.TICK_TIMESTAMP.labels(number).set(1)
    owned.only([7_002])
    assert value("drawdown_lag_records", stage="balances", partition="7001") is None
    assert value("drawdown_lag_seconds", stage="balances", partition="7001") is None
    assert value("drawdown_tick_timestamp_seconds", partition="7001") is None
    assert value("drawdown_lag_records", stage="balances", partition="7002") == 5
    owned.only([])


def test_the_first_products_have_names_and_all_others_share_one() -> None:
    names = Bounded(2)
    assert [names.name(each) for each in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER, "a", OTHER]
