"""Scenarios worked out by hand, sent to real servers and workers at the times that they state.

The raw topics keep the producer's time here, and admission sends no tick of its own: so the journal
has the scenario's clock, though its times are months ago.
"""

import json
from pathlib import Path
from typing import Final

import confluent_kafka
import pytest
from confluent_kafka.cimpl import NewTopic

from deploy.provision import make_topics
from deploy.servers.find import Servers
from deploy.simulate.report import report
from deploy.simulate.scenario import Entry, parse_scenario
from processors.admission.examine import KIND_HEADER, TICK_KIND
from projections.reading.lookup import look_up
from schemas.destination import destination
from schemas.documents import VoidUsage
from schemas.envelope import Usage
from schemas.rejected import cloud_event
from schemas.topics import CATALOG, CREDITS, FOR_EVER, REJECTED, USAGE
from tests.system.pipeline import Pipeline, running
from tests.system.timeline import outcome_of, settled, timeline_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SCENARIOS: Final = Path(__file__).parents[1] / "scenarios"
NEVER: Final = str(10**6)
SETTLE_SECONDS: Final = 120


@pytest.mark.parametrize("name", ["c_amend", "d_overage_due_order", "d_void_usage_graduated"])
def test_a_pipeline_gives_the_numbers_worked_out_by_hand(
    servers: Servers, topic_prefix: str, tmp_path: Path, name: str
) -> None:
    entries = parse_scenario((SCENARIOS / f"{name}.yaml").read_text())
    create_raw_topics(servers.kafka, topic_prefix)
    quiet = {"tick_busy_seconds": NEVER, "tick_idle_seconds": NEVER, "partitions": "1"}
    with running(servers, topic_prefix, tmp_path, None, **quiet) as pipeline:
        producer = confluent_kafka.Producer({"bootstrap.servers": servers.kafka, "log_level": 0})
        for entry in (*entries, Entry(entries[-1].at, None)):
            send(pipeline, producer, entry)
        pipeline.wait_until_settled(SETTLE_SECONDS)
        evidence = settled(pipeline, 0, SETTLE_SECONDS)
        made = timeline_of(evidence)
        outcome = outcome_of(evidence, made, pipeline.records(REJECTED))
        expected = json.loads((SCENARIOS / f"{name}.json").read_text())
        assert report(parse_scenario(made.text), outcome) == expected


def create_raw_topics(kafka: str, prefix: str) -> None:
    """With the producer's time, whatever the broker's habit."""
    config = {"message.timestamp.type": "CreateTime", "retention.ms": str(FOR_EVER)}
    raw = [NewTopic(prefix + each.name, 1, 1, config=config) for each in (CATALOG, CREDITS, USAGE)]
    make_topics(kafka, raw)


def send(pipeline: Pipeline, producer: confluent_kafka.Producer, entry: Entry) -> None:
    """What clients send, but at the entry's own time and confirmed before the next."""
    settings, what = pipeline.settings, entry.what
    if isinstance(what, VoidUsage):
        pipeline.wait_until_settled(SETTLE_SECONDS)
        (what,) = look_up([what], settings.kafka, settings.topic_prefix)
    topic, key, value = USAGE, None, b""
    headers: list[tuple[str, str | bytes | None]] = []
    if what is None:
        headers.append((KIND_HEADER, TICK_KIND))
    elif isinstance(what, Usage):
        key = what.account
        value = cloud_event(
            what.account, what.source, what.id, what.type, what.time, what.data, what.contract
        )
    else:
        topic, key, value = destination(what)
    stamp = entry.at // 1_000
    name = settings.topic_prefix + topic.name
    producer.produce(name, value, key, 0, timestamp=stamp, headers=headers)
    assert producer.flush(SETTLE_SECONDS) == 0
