"""The whole domain over real servers and workers, against `drawdown simulate`."""

import os
import time
from pathlib import Path
from typing import Final

import pytest

from deploy.servers.find import Servers
from deploy.simulate.run import Outcome
from ingest import Producer
from projections.balances import alerts as kinds
from projections.balances import postings
from schemas.reasons import Reason
from schemas.topics import REJECTED
from tests.system.domain_traffic import Business
from tests.system.pipeline import Pipeline, running
from tests.system.timeline import check_same, outcome_of, settled, timeline_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SEED: Final = int(os.environ.get("DRAWDOWN_TEST_SEED", "20260101"))
EVENTS: Final = 300
PAUSE_SECONDS: Final = 1.5
SETTLE_SECONDS: Final = 90
VOIDS: Final = 60
NOT_WITHIN_A_MINUTE: Final = {kinds.OVERAGE_DUE}
POSTINGS: Final = {
    *postings.OF_LINE,
    postings.ISSUED,
    postings.ADJUSTED,
    postings.REPAID,
    postings.SETTLED,
    postings.EXPIRED,
    postings.ROLLED_OVER,
    postings.RECEIVED,
    postings.VOIDED,
    postings.REFUNDED,
    postings.HELD,
    postings.RELEASED,
}
REASONS: Final = {
    Reason.BELOW_CONSUMED,
    Reason.CONFLICT,
    Reason.DUPLICATE,
    Reason.EXCEEDS_HOLD,
    Reason.EXCEEDS_OVERAGE,
    Reason.HOLD_ENDED,
    Reason.INSUFFICIENT_CREDITS,
    Reason.INVALID_DOCUMENT,
    Reason.NEGATIVE_QUANTITY,
    Reason.OUT_OF_ORDER,
    Reason.TOO_OLD,
    Reason.UNKNOWN_ACCOUNT,
    Reason.UNKNOWN_CONTRACT,
    Reason.UNKNOWN_GRANT,
    Reason.UNKNOWN_HOLD,
    Reason.UNKNOWN_PACK,
    Reason.UNKNOWN_PRODUCT,
    Reason.UNKNOWN_REQUEST,
}


def test_what_workers_made_of_the_journal_is_what_simulate_prints_of_it(
    servers: Servers, topic_prefix: str, tmp_path: Path
) -> None:
    """Contracts, amendments, tiers, recurring grants, fees, limits, top-up, holds, corrections."""
    print(f"DRAWDOWN_TEST_SEED={SEED}")
    outcomes = []
    with running(servers, topic_prefix, tmp_path, tick_idle_seconds="2") as pipeline:
        happen(pipeline, Business(SEED, time.time_ns() // 1_000))
        for number in pipeline.partitions:
            evidence = settled(pipeline, number, SETTLE_SECONDS)
            made = timeline_of(evidence)
            outcome = outcome_of(evidence, made, pipeline.records(REJECTED))
            outcomes.append(outcome)
            (tmp_path / f"partition-{number}.yaml").write_text(made.text)
            check_same(made.text, outcome)
        check_everything_came(outcomes)
        pipeline.reconcile(SEED)
        assert set(pipeline.restarts().values()) == {0}, pipeline.said()


def happen(pipeline: Pipeline, business: Business) -> None:
    """Usage between rounds of documents and commands."""
    pipeline.apply(business.documents())
    send(pipeline, business)
    pipeline.apply(business.amendments())
    send(pipeline, business)
    pipeline.apply(business.payments())
    pipeline.apply(business.holds())
    send(pipeline, business)
    pipeline.wait_until_settled(SETTLE_SECONDS)
    pipeline.apply(business.voids(VOIDS))
    pipeline.apply(business.corrections())
    send(pipeline, business)
    pipeline.apply(business.endings())
    pipeline.apply(business.captures())
    send(pipeline, business)
    pipeline.wait_until_settled(SETTLE_SECONDS)


def send(pipeline: Pipeline, business: Business) -> None:
    """A share of the usage, and time for what falls due."""
    with Producer(pipeline.settings.kafka, pipeline.settings.topic_prefix) as producer:
        for event in business.usage(EVENTS, time.time_ns() // 1_000):
            producer.send(event)
    until = time.monotonic() + PAUSE_SECONDS
    while time.monotonic() < until:
        pipeline.poll()
        time.sleep(0.1)


def check_everything_came(outcomes: list[Outcome]) -> None:
    """The traffic is as rich as it claims to be."""
    alerts = {alert.type for outcome in outcomes for alert in outcome.alerts}
    assert set(kinds.RANK) - alerts == NOT_WITHIN_A_MINUTE
    posted = {one for outcome in outcomes for one in outcome.ledger.get_column("posting")}
    assert posted >= POSTINGS, POSTINGS - posted
    reasons = {reason for outcome in outcomes for reason in outcome.rejected.values()}
    assert reasons >= REASONS, REASONS - reasons
