"""An upgrade for real: logs and rows of an older release, and then this release's workers.

And the wrong order: workers meet a row, then a frame, of a release that is newer than theirs.
"""

import time
from pathlib import Path
from typing import Final

import confluent_kafka
import msgspec
import polars as pl
import pytest
import redis
from confluent_kafka.cimpl import NewTopic

from deploy.provision import create_topics, make_topics
from deploy.servers.find import Servers
from deploy.supervisor import metrics_registry
from ingest import Producer
from processors.rating.stage import RATING
from projections.balances.stage import BALANCES
from projections.fold.kind import StageKind
from projections.fold.log import Log
from projections.fold.rebuild import Rebuilder
from projections.fold.retry import Patience
from projections.fold.snapshot import Snapshot
from projections.fold.store import PartitionStore
from projections.rows import Changes
from schemas.frames import VERSION, Source
from schemas.times import format_instant
from schemas.topics import ALERTS, CATALOG, CREDITS, FOR_EVER, JOURNAL, LEDGER, RATED, USAGE
from tests.deploy.reading.pipeline import Logs
from tests.deploy.reading.released import released
from tests.deploy.reading.test_released import OLD, OTHERWISE
from tests.system.pipeline import Pipeline, started

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SETTLE_SECONDS: Final = 120
ACCOUNT: Final = "plain"
RAW: Final = {Source.CATALOG: CATALOG, Source.CREDITS: CREDITS, Source.USAGE: USAGE}


def test_workers_go_on_from_an_older_release_and_stop_before_a_newer_one(
    servers: Servers, topic_prefix: str, tmp_path: Path
) -> None:
    """Old frames, then new ones; a newer row, put right; a newer frame, which nothing passes."""
    create_raw_topics(servers.kafka, topic_prefix)
    create_topics(servers.kafka, topic_prefix, 1, 1)
    logs = released(OLD)
    put_logs(servers.kafka, topic_prefix, logs)
    put_rows(servers, topic_prefix, RATING, logs.rating)
    put_rows(servers, topic_prefix, BALANCES, logs.balances)
    with started(servers, topic_prefix, tmp_path, partitions="1") as pipeline:
        send(pipeline, "after the upgrade")
        pipeline.wait_until_settled(SETTLE_SECONDS)
        assert drawn(pipeline, "after the upgrade") == 1
        for topic in (JOURNAL, RATED, LEDGER):
            assert {value[3] for value in pipeline.values(topic, 0)} == {2, VERSION}
        for kind in (RATING, BALANCES):
            again = Rebuilder(kind, pipeline.around.log, pipeline.around.snapshots).rebuild(0)
            assert {*again.differing} == (OTHERWISE[2] if kind is RATING else set())
        meet_a_newer_row(pipeline)
        pipeline.reconcile()
        meet_a_newer_frame(pipeline)


def create_raw_topics(kafka: str, prefix: str) -> None:
    """Topics whose records keep the times that they are written with, however old they are.

    They are made so: a broker goes on stamping for a while after a change has been acknowledged.
    """
    config = {"message.timestamp.type": "CreateTime", "retention.ms": str(FOR_EVER)}
    new = [NewTopic(prefix + topic.name, 1, 1, config=config) for topic in RAW.values()]
    make_topics(kafka, new)


def put_logs(kafka: str, prefix: str, logs: Logs) -> None:
    """Every record of the release, where and when it stood."""
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka})
    for source, topic in RAW.items():
        for record in logs.traffic.sent[source]:
            producer.produce(
                prefix + topic.name,
                record.value,
                partition=0,
                timestamp=record.received_at // 1_000,
                headers=list(record.headers or ()),
            )
    outputs = {JOURNAL: logs.journal, RATED: logs.rated, LEDGER: logs.ledger}
    for topic, log in (outputs | {ALERTS: list(enumerate(logs.alerts))}).items():
        for _, value in log:
            producer.produce(prefix + topic.name, value, partition=0)
    assert producer.flush(30) == 0


def put_rows(servers: Servers, prefix: str, kind: StageKind, left: Snapshot) -> None:
    """The rows that a stage of the release had committed."""
    with redis.Redis.from_url(servers.redis_url) as client:
        store = PartitionStore(client, prefix, 0, kind.name, Patience(5.0))
        assert store.open() is None
        due: dict[str, tuple[int | None, int | None]] = {key: (None, at) for at, key in left.due}
        topic_id = Log(servers.kafka, prefix).topic_id(kind.reads.name)
        position = msgspec.structs.replace(left.position, topic_id=topic_id)
        store.commit(position, Changes(dict(left.rows), due))


def send(pipeline: Pipeline, name: str) -> None:
    """Usage of now."""
    now = format_instant(time.time_ns() // 1_000)
    event = {"id": name, "source": "test", "type": "llm.request", "subject": ACCOUNT, "time": now}
    with Producer(pipeline.settings.kafka, topic_prefix=pipeline.settings.topic_prefix) as producer:
        producer.send({**event, "data": {"tokens": 1, "model": "m"}})


def drawn(pipeline: Pipeline, name: str) -> int:
    """Postings of an event."""
    return pipeline.ledger().filter(pl.col("id") == name).height


def meet_a_newer_row(pipeline: Pipeline) -> None:
    """Balances find a row that a newer release wrote; going back, `rebuild` makes it anew."""
    around = pipeline.around
    client, snapshots = around.snapshots.client, around.snapshots
    key = f"a:{ACCOUNT}"
    pipeline.kill("balances")
    namespace = snapshots.take(0, BALANCES.name, ()).namespace
    assert namespace is not None
    rows = snapshots.key(0, BALANCES.name, namespace, "rows")
    row = client.hget(rows, key)
    assert isinstance(row, bytes)
    newer = b"[9" + row[row.index(b",") :]
    client.hset(rows, key, newer)
    send(pipeline, "of the newer row")
    ended(pipeline, "balances", "a balance row 'b' of version 9, known up to 3: written by a newer")
    assert drawn(pipeline, "of the newer row") == 0
    assert client.hget(rows, key) == newer
    pipeline.kill("balances")
    assert Rebuilder(BALANCES, around.log, snapshots).rebuild(0).differing == [key]
    pipeline.wait_until_settled(SETTLE_SECONDS)
    assert drawn(pipeline, "of the newer row") == 1


def meet_a_newer_frame(pipeline: Pipeline) -> None:
    """Rating stops before it, each time that it is started again."""
    prefix, log = pipeline.settings.topic_prefix, pipeline.around.log
    producer = confluent_kafka.Producer({"bootstrap.servers": pipeline.settings.kafka})
    newer = b"DDF" + bytes((VERSION + 1, 1)) + b"of whatever form"
    producer.produce(prefix + JOURNAL.name, newer, partition=0)
    assert producer.flush(30) == 0
    place = next(read[0] for read in pipeline.records(JOURNAL) if read[2] == newer)
    ended(pipeline, "rating", "frame version 4, this release reads 2 to 3: written by a newer")
    ended(pipeline, "rating", "frame version 4")
    assert pipeline.reached("rating")[0] <= place
    assert log.ends(JOURNAL.name, [0])[0] > place


def ended(pipeline: Pipeline, worker: str, said: str) -> None:
    """The worker ends for that reason, once more than it had before, and says what to do."""
    before, give_up = ends(worker), time.monotonic() + SETTLE_SECONDS
    while ends(worker) == before:
        assert time.monotonic() < give_up, pipeline.said()
        pipeline.poll()
        time.sleep(0.1)
    told = (pipeline.logs / f"{worker}.log").read_text()
    assert f"ending: ReleaseError: {said}" in told
    assert "run that release here too, readers before writers (deploy/README.md" in told


def ends(worker: str) -> float:
    """How often a worker ended because of another release."""
    labels = {"worker": worker, "reason": "release"}
    return metrics_registry().get_sample_value("drawdown_worker_ends_total", labels) or 0.0
