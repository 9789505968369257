"""Every section measures something real, and what it measures is exact. Never how fast."""

import os
from pathlib import Path

import pytest

from tests.bench import api, comparison, keys, latency, recovery, throughput
from tests.bench.servers import Kind
from tests.bench.session import Session

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A small one, on servers of its own."""
    kind: Kind = "apache" if os.environ.get("DRAWDOWN_TEST_SERVERS") == "apache" else "embedded"
    return Session(tmp_path, kind, events=4_000, accounts=100, partitions=2)


def test_a_run_has_its_events_its_time_and_what_every_process_used(session: Session) -> None:
    (row,) = throughput.run(session, ["rich"]).rows
    assert 0 < row["events"] <= 3_000
    assert row["events/s"] > 0
    assert row["peak MB"] > 100
    for name in ("admission-0", "rating-0", "balances-0", "redis", "broker"):
        assert f"{name} " in row["of which"]


def test_drawdown_is_exact_without_kills_and_after_them(session: Session) -> None:
    (row,) = comparison.run(session, ["drawdown"], kills=3).rows
    assert row["exact"] == row["exact after kills"] == "yes", row
    assert row["kills"] == 3
    assert row["Drawdown is faster by"] == "1.0"


def test_latency_is_that_of_every_event(session: Session) -> None:
    (row,) = latency.run(session, [1_000]).rows
    assert 0 < row["events"] < 8_000
    assert 0 < row["p50"] <= row["p99"] <= row["p99.9"] <= row["longest"]


def test_every_kind_of_worker_comes_back(session: Session) -> None:
    rows = recovery.run(session).rows
    assert [(row["worker"], row["kills"]) for row in rows] == [
        ("admission", 1),
        ("rating", 1),
        ("balances", 1),
    ]
    assert all(row["least s"] > 0 for row in rows)


def test_a_key_takes_more_than_its_digest_and_less_than_a_key_of_its_own(session: Session) -> None:
    rows = keys.run(session).rows
    assert [row["keys"] for row in rows] == [4_000, 40_000, 40_000]
    told = rows[-1]
    assert 27 < told["bytes a key, MEMORY USAGE"] < 60
    assert 27 < told["bytes a key, used_memory"] < 60


def test_checks_and_holds_are_all_answered(session: Session) -> None:
    plain, paced, one, many, contended, rich = api.run(session).rows
    for row in (plain, rich):
        assert row["answers"] == 2_000
        assert 0 < row["server p50"] <= row["server p99"]
    assert paced["note"] == f"{2 * api.HOLDS_RATE} CREATED"
    assert (one["note"], many["note"]) == ("50 CREATED", "200 CREATED")
    assert contended["answers"] == 100
