"""Waiting for workers that come back, while the supervisor starts what has ended."""

import time
from collections.abc import Callable
from typing import Final

from tests.system.pipeline import Pipeline

POLL_SECONDS: Final = 0.05


def until(pipeline: Pipeline, what: str, holds: Callable[[], bool], seconds: float) -> float:
    """Seconds until `holds`. Raises AssertionError with what workers said when it never does."""
    started = time.monotonic()
    while not holds():
        late = time.monotonic() - started > seconds
        assert not late, f"{what}: not within {seconds:g} s\n{pipeline.said()}"
        pipeline.poll()
        time.sleep(POLL_SECONDS)
    return time.monotonic() - started


def pause(pipeline: Pipeline, seconds: float) -> None:
    """Let `seconds` pass; workers that end meanwhile are started again."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        pipeline.poll()
        time.sleep(POLL_SECONDS)


def advanced(pipeline: Pipeline, worker: str) -> Callable[[], bool]:
    """Has the worker's stage committed more than when this was called?"""
    reached = pipeline.progress(worker)
    return lambda: pipeline.progress(worker) > reached


def advanced_everywhere(pipeline: Pipeline, worker: str) -> Callable[[], bool]:
    """Has the worker's stage committed more of every partition than when this was called?"""
    before = pipeline.reached(worker)
    return lambda: all(
        now > then for now, then in zip(pipeline.reached(worker), before, strict=True)
    )
