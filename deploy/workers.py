"""From settings to a running worker. A process loads the stage that it runs, and no other."""

import gc
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from projections.logs import log_as

if TYPE_CHECKING:
    from deploy.settings import Settings
    from projections.fold.kind import StageKind

logger = logging.getLogger("drawdown")
WORKERS: Final = ("admission", "rating", "balances")
_GARBAGE: Final = (200_000, 20, 20)
"""A batch makes tens of thousands of small objects and no cycles: look for those less often."""


def run_worker(name: str, settings: "Settings") -> None:
    """Run one worker until it is told to stop. An error ends the process, and is counted."""
    from projections import ends

    assert name in WORKERS, name
    log_as(name)
    logger.info("starting as member %s", settings.member)
    gc.set_threshold(*_GARBAGE)
    with ends.told():
        if name == "admission":
            _run_admission(settings)
        else:
            _run_stage(_stage(name), settings)


def health_port(worker: str, settings: "Settings") -> int:
    """Where the worker answers `/healthz`, `/readyz` and `/metrics`."""
    from deploy.settings import HEALTH_PORTS

    return HEALTH_PORTS[worker] if settings.health_port is None else settings.health_port


def _stage(name: str) -> "StageKind":
    if name == "rating":
        from processors.rating.stage import RATING

        return RATING
    from projections.balances.stage import BALANCES

    return BALANCES


def _run_stage(kind: "StageKind", settings: "Settings") -> None:
    from projections.fold.worker import WorkerSettings, run_stage

    run_stage(
        kind,
        WorkerSettings(
            kafka=settings.kafka_access,
            redis=settings.redis_access,
            topic_prefix=settings.topic_prefix,
            key_prefix=settings.key_prefix,
            member=settings.member,
            session_timeout_seconds=settings.session_timeout_seconds,
            outage_seconds=settings.outage_seconds,
            progress_seconds=settings.progress_seconds,
            health_host=settings.health_host,
            health_port=health_port(kind.name, settings),
        ),
    )


def _run_admission(settings: "Settings") -> None:
    from processors.admission.process import run_admission
    from processors.admission.settings import AdmissionSettings

    run_admission(
        AdmissionSettings(
            kafka=settings.kafka_access,
            redis=settings.redis_access,
            topic_prefix=settings.topic_prefix,
            key_prefix=settings.key_prefix,
            group=f"{settings.key_prefix}-{settings.topic_prefix}admission",
            instance_id=f"admission-{settings.member}",
            max_event_age=timedelta(microseconds=settings.duration("max_event_age")),
            max_event_lead=timedelta(microseconds=settings.duration("max_event_lead")),
            dedupe_window=timedelta(microseconds=settings.duration("dedupe_window")),
            tick_busy_seconds=settings.tick_busy_seconds,
            tick_idle_seconds=settings.tick_idle_seconds,
            broker_time=settings.broker_time,
            session_timeout_ms=settings.session_timeout_seconds * 1000,
            keys_per_generation=settings.keys_per_generation,
        ),
        settings.health_host,
        health_port("admission", settings),
        settings.progress_seconds,
    )
