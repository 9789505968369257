"""What a batch of balances counts as, by the batch and never by the event."""

from prometheus_client import REGISTRY

from projections.balances import observe
from projections.balances.books import Books
from projections.balances.columnar import fold
from projections.metrics.page import page
from projections.rows import MemoryReader
from tests.builders import line, rated, rated_tick
from tests.projections.balances import HOUR, T, account, grant

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
SECOND = 1_000_000


def value(name: str, **labels: str) -> float:
    """A sample of the registry, 0 where there is none."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_credits_count_by_product_and_posting() -> None:
    batch = rated(
        [
            account(),
            grant("g", "10"),
            line(T + HOUR, "a", "observed", "4"),
            line(T + HOUR, "a", "observed", "7.5"),
            line(T + HOUR, "a", "observed", "-1"),
            rated_tick(T + 2 * HOUR),
        ]
    )
    labels = {"product": "observed", "posting": "consumed"}
    owed = {"product": "observed", "posting": "overage"}
    issued = value("drawdown_events_total", stage="balances", outcome="issued")
    folded = fold(batch, Books(MemoryReader()))
    observe.batch(batch, folded, 3, 0.01)
    assert value("drawdown_consumed_credits_total", **labels) == 10
    assert value("drawdown_consumed_credits_total", **owed) == 1.5
    back = value("drawdown_returned_credits_total", **labels)
    assert back + value("drawdown_returned_credits_total", **owed) == 1
    assert value("drawdown_events_total", stage="balances", outcome="issued") == issued + 1
    assert value("drawdown_tick_timestamp_seconds", partition="3") == (T + 2 * HOUR) / SECOND


def test_a_commit_tells_how_old_its_lines_are_and_where_the_oldest_stand() -> None:
    observe.begin()
    batch = rated([account(), line(T, "a", "x", "1"), line(T + SECOND, "a", "x", "1")])
    before = value("drawdown_latency_seconds_count")
    within = value("drawdown_latency_seconds_bucket", le="1.0")
    arrived = observe.arrived(batch)
    assert arrived is not None
    observe.commit(arrived, 5, 0.001, T + 2 * SECOND)
    assert value("drawdown_latency_seconds_count") == before + 2
    assert value("drawdown_latency_seconds_bucket", le="1.0") == within + 1
    body = page(OPENMETRICS)[0].decode()
    assert '{journal="5/0/0"} 2.0 ' in body
    assert '{journal="5/0/1"} 1.0 ' in body


def test_what_holds_no_line_has_no_latency() -> None:
    before = value("drawdown_latency_seconds_count")
    assert observe.arrived(rated([account(), rated_tick(T)])) is None
    observe.commit(None, 5, 0.001, T)
    assert value("drawdown_latency_seconds_count") == before
