"""From settings to a running worker."""

import gc
import logging
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from deploy.settings import HEALTH_PORTS, Settings
from processors.admission.process import run_admission
from processors.admission.settings import AdmissionSettings
from processors.rating.stage import RATING
from projections import ends
from projections.balances.stage import BALANCES
from projections.fold.worker import StageKind, WorkerSettings, run_stage

WORKERS: Final = ("admission", "rating", "balances")
_GARBAGE: Final = (200_000, 20, 20)
"""A batch makes tens of thousands of small objects and no cycles: look for those less often."""


def run_worker(name: str, settings: Settings) -> None:
    """Run one worker until it is told to stop. An error ends the process, and is counted."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s {name} %(levelname)s %(message)s",
    )
    gc.set_threshold(*_GARBAGE)
    with ends.told():
        _RUN[name](settings)


def _stage(kind: StageKind) -> Callable[[Settings], None]:
    def run(settings: Settings) -> None:
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

    return run


def health_port(worker: str, settings: Settings) -> int:
    """Where the worker answers `/healthz`, `/readyz` and `/metrics`."""
    return HEALTH_PORTS[worker] if settings.health_port is None else settings.health_port


def _admission(settings: Settings) -> None:
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


_RUN: Final[dict[str, Callable[[Settings], None]]] = {
    "admission": _admission,
    "rating": _stage(RATING),
    "balances": _stage(BALANCES),
}
