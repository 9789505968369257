"""The process of a Faust stage: health, watchdog, positions checked against the log, the host.

Rating and balances differ in their `StageKind` only: what they read, and the fold they make.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from projections import ends
from projections.access import Kafka, Redis, kafka_access
from projections.fold.connection import (
    check_eviction,
    check_kafka,
    check_partitions,
    redis_client,
)
from projections.fold.faust_host import FaustHost, HostSettings
from projections.fold.kind import StageKind
from projections.fold.lag import LagMeter
from projections.fold.log import Log
from projections.fold.outbox import Outbox
from projections.fold.position import Position
from projections.fold.retry import Patience
from projections.fold.stage import StagePartition
from projections.fold.store import PartitionStore
from projections.health import WorkerStatus, serve_health, watch_progress
from projections.metrics.errors import count_as
from projections.metrics.series import begin
from projections.refusals import no_topic
from schemas.errors import ConfigurationError

STEPS: Final = ("fold", "commit")
"""What a stage's seconds are spent in, as metrics tell them."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a stage's process needs to know of its surroundings."""

    kafka: Kafka
    redis: Redis
    topic_prefix: str
    key_prefix: str
    member: str
    session_timeout_seconds: int
    outage_seconds: int
    progress_seconds: int
    health_host: str
    health_port: int


def run_stage(kind: StageKind, settings: WorkerSettings) -> None:
    """Run until SIGTERM or SIGINT. An error ends the process with its exit code."""
    status = WorkerStatus(kind.name)
    begin(kind.name, kind.outcomes, STEPS)
    count_as(kind.name)
    ends.count_as(kind.name, settings.redis, ends.of_workers(settings.key_prefix))
    server = serve_health(status, settings.health_host, settings.health_port)
    group = f"{settings.key_prefix}-{settings.topic_prefix}{kind.name}"
    check_kafka(settings.kafka, group)
    log = Log(settings.kafka, settings.topic_prefix)
    partitions = log.partitions(kind.reads.name)
    if not partitions:
        raise ConfigurationError(no_topic(log.name(kind.reads.name)))
    outbox = Outbox(settings.kafka, settings.topic_prefix, status.waiting)
    client = redis_client(settings.redis)
    patience = Patience(settings.outage_seconds, status.waiting, lambda: status.stopping)
    patience.run(lambda: check_eviction(client))
    patience.run(lambda: check_partitions(client, settings.key_prefix, partitions))

    def open_partition(number: int) -> StagePartition:
        store = PartitionStore(client, settings.key_prefix, number, kind.name, patience)
        position = log.check(kind.reads.name, number, store.open() or Position())
        return StagePartition(kind.make_fold(number, position, store), store, outbox, position)

    watched = Log(settings.kafka, settings.topic_prefix)
    meter = LagMeter(watched, kind.name, kind.reads, kind.received)

    def measure() -> tuple[object, int]:
        positions = dict(status.positions)
        return positions, meter.measure(positions)

    watch_progress(status, measure, settings.progress_seconds)
    host = FaustHost(
        HostSettings(
            kafka=kafka_access(settings.kafka),
            topic_prefix=settings.topic_prefix,
            group=group,
            instance_id=f"{kind.name}-{settings.member}",
            session_timeout_seconds=settings.session_timeout_seconds,
            topic=kind.reads,
            partitions=partitions,
        ),
        open_partition,
        status,
    )
    try:
        asyncio.run(host.run())
    finally:
        outbox.close()
        server.shutdown()
