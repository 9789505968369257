"""Every kind of bad input, each between good neighbours: what becomes of it, and of them."""

import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from deploy.servers.find import Servers
from ingest import Producer
from schemas.topics import CATALOG, Topic
from tests.system.bad_input import (
    ACCOUNT,
    ISSUED,
    Bad,
    bad_documents,
    bad_usage,
    catalog,
    check_where_each_ended,
    event,
    good_at_the_edge,
)
from tests.system.pipeline import Pipeline, running

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SETTLE_SECONDS: Final = 90
LEAST_CASES: Final = 35


def test_each_bad_record_ends_in_its_place_and_no_neighbour_notices(
    servers: Servers, topic_prefix: str, tmp_path: Path
) -> None:
    """Reason, bytes, counters and balances, through three real workers."""
    now = time.time_ns() // 1_000
    bad, documents = bad_usage(now), bad_documents(now)
    assert len(bad) + len(documents) >= LEAST_CASES
    with running(servers, topic_prefix, tmp_path) as pipeline:
        pipeline.apply(catalog(now))
        pipeline.wait_until_settled(SETTLE_SECONDS)
        spent = send(pipeline, bad, documents, now)
        pipeline.wait_until_settled(SETTLE_SECONDS)

        everything = [*bad, *(each for each, _ in documents)]
        per_partition = [each for each, topic in documents if topic is CATALOG]
        check_where_each_ended(pipeline, everything)
        balance = pipeline.balance(ACCOUNT)
        assert (balance["consumed"], balance["overage"]) == (str(spent), "0")
        assert balance["available"] == str(ISSUED - spent)
        every_copy = everything + per_partition * (pipeline.settings.partitions - 1)
        check_counters(pipeline, every_copy)
        pipeline.reconcile()
        assert set(pipeline.restarts().values()) == {0}, pipeline.said()


def send(pipeline: Pipeline, bad: list[Bad], documents: list[tuple[Bad, Topic]], now: int) -> int:
    """Every bad record between two good ones of one account; gives what the good ones cost."""
    spent, prefix = 0, pipeline.settings.topic_prefix
    with Producer(pipeline.settings.kafka, prefix) as producer:
        producer.send_encoded(ACCOUNT, event(now, "kept"))
        spent += 1
        for number, each in enumerate(bad):
            for side in ("before", "after"):
                tokens = 1 + number * 2 + (side == "after")
                producer.send_encoded(ACCOUNT, event(now, f"{side}-{number}", tokens=tokens))
                spent += tokens
                if side == "before":
                    producer.send_encoded(each.account, each.value)
        for each, topic in documents:
            producer._put(prefix + topic.name, each.account, each.value, None)
        for value in good_at_the_edge(now):
            producer.send_encoded(ACCOUNT, value)
            spent += 1
    return spent


def check_counters(pipeline: Pipeline, bad: list[Bad]) -> None:
    """`drawdown_events_total{outcome=reason}` of each worker says how many there were."""
    for stage in ("admission", "rating"):
        wanted = Counter(each.reason for each in bad if each.stage == stage)
        counted = pipeline.outcomes(stage)
        assert {reason: counted[reason] for reason in wanted} == dict(wanted), (stage, counted)
