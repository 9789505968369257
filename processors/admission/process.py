"""The process of an admission worker: health, watchdog, metrics, signals, and how it ends."""

import logging
import signal
from typing import Final

from processors.admission.claims import Claims
from processors.admission.memory import watch_memory
from processors.admission.observe import Status
from processors.admission.settings import AdmissionSettings, microseconds
from processors.admission.worker import AdmissionWorker
from projections import ends, metrics
from projections.fold.connection import (
    check_eviction,
    check_kafka,
    check_partitions,
    redis_client,
)
from projections.fold.lag import LagMeter
from projections.fold.log import Log
from projections.fold.retry import Patience
from projections.health import WorkerStatus, end, serve_health, watch_progress
from projections.metrics.errors import count_as
from projections.metrics.series import begin
from schemas.errors import LogUnavailable
from schemas.topics import USAGE

logger = logging.getLogger("drawdown")
STAGE: Final = "admission"
OUTCOMES: Final = ("accepted", "document", "tick")
STEPS: Final = ("claim",)


class _Status(WorkerStatus):
    """Health as the worker itself tells it."""

    def __init__(self, told: Status) -> None:
        super().__init__(STAGE)
        self._told = told

    def describe(self) -> dict[str, object]:
        self.waiting_for = self._told.waiting_for
        self.ready = bool(self._told.partitions)
        self.positions = dict.fromkeys(self._told.partitions, 0)
        return {**super().describe(), "positions": None, "partitions": self._told.partitions}


class _Metrics:
    """Counts what the worker does (`processors.admission.observe.Observer`)."""

    def outcome(self, name: str, count: int) -> None:
        metrics.EVENTS.labels(STAGE, name).inc(count)

    def claimed(self, keys: int, seconds: float) -> None:
        metrics.STEP_SECONDS.labels(STAGE, "claim").inc(seconds)
        metrics.CLAIMED_KEYS.labels(STAGE).inc(keys)

    def batch(self, records: int, frames: int, seconds: float) -> None:
        metrics.BATCH_ROWS.labels(STAGE).observe(records)
        metrics.BATCH_SECONDS.labels(STAGE).observe(seconds)
        metrics.FRAMES.labels(STAGE).inc(frames)

    def acknowledged(self) -> None:
        metrics.COMMITS.labels(STAGE).inc()


def run_admission(
    settings: AdmissionSettings, health_host: str, health_port: int, progress_seconds: float
) -> None:
    """Run until SIGTERM or SIGINT; any error ends the process at once, with its exit code."""
    begin(STAGE, OUTCOMES, STEPS)
    metrics.CLAIMED_KEYS.labels(STAGE)
    count_as(STAGE)
    ends.count_as(STAGE, settings.redis, ends.of_workers(settings.key_prefix))
    worker = AdmissionWorker(settings, _Metrics())
    status = _Status(worker.status)

    def stop(*_: object) -> None:
        status.stopping = True
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server = serve_health(status, health_host, health_port)
    claims = _claims(settings)
    watch_progress(status, _Measure(settings, worker.status, status, claims), progress_seconds)
    watch_memory(redis_client(settings.redis), claims, worker.status, STAGE)
    try:
        _check(settings, worker.status)
        worker.run()
    except BaseException as error:  # noqa: BLE001 - a bug ends the process too, with its trace
        end(error)
    server.shutdown()


def _check(settings: AdmissionSettings, status: Status) -> None:
    """Find what no waiting mends, before the worker waits. Raises ConfigurationError."""
    check_kafka(settings.kafka, settings.group)
    client, patience = redis_client(settings.redis), Patience(waiting=status.waiting)
    patience.run(lambda: check_eviction(client))
    try:
        partitions = Log(settings.kafka, settings.topic_prefix).partitions(USAGE.name)
    except LogUnavailable as error:
        logger.warning("%s", error)
        return
    if partitions:
        patience.run(lambda: check_partitions(client, settings.key_prefix, partitions))


def _claims(settings: AdmissionSettings) -> Claims:
    """The claims, as seen by another client than the worker's."""
    width = microseconds(settings.dedupe_window)
    client = redis_client(settings.redis)
    return Claims(client, settings.key_prefix, width, settings.keys_per_generation)


class _Measure:
    """The watchdog's own look: acknowledged vectors in Redis against the ends of the log."""

    def __init__(
        self, settings: AdmissionSettings, told: Status, status: WorkerStatus, claims: Claims
    ) -> None:
        self._told, self._status, self._claims = told, status, claims
        log = Log(settings.kafka, settings.topic_prefix)
        self._meter = LagMeter(log, STAGE, USAGE, lambda _value: None)

    def __call__(self) -> tuple[object, int]:
        self._status.joined = self._told.joined
        owned = list(self._told.partitions)
        held = {number: self._claims.held(number) for number in owned}
        reached = {number: at.vector[2] if at else 0 for number, at in held.items()}
        return reached, self._meter.measure(reached)
