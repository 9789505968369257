"""Every worker as its own process under one supervisor that restarts what dies at once.

A worker that ends by itself is a worker that met an error (architecture.md section 3): its
successor resumes from the committed position. One that keeps ending within `_QUICK_SECONDS` waits a
little longer each time, so that a cause which stays does not become a busy loop.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from prometheus_client import CollectorRegistry

from deploy.servers.process import leashed
from projections import metrics
from schemas.ends import REASONS, reason_of

logger = logging.getLogger("drawdown")

_QUICK_SECONDS: Final = 5.0
_LONGEST_PAUSE_SECONDS: Final = 10.0
_DRAIN_SECONDS: Final = 20.0


@dataclass
class Child:
    """One supervised process. `kind` is what metrics call it and its like; empty: its name."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path | None = None
    kind: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    restarts: int = 0
    started_at: float = 0.0
    quick_ends: int = 0
    due_at: float = 0.0
    leaving: bool = False

    def __post_init__(self) -> None:
        self.kind = self.kind or self.name


@dataclass
class Supervisor:
    """Starts children, restarts them, and stops them in the order given (upstream first)."""

    children: list[Child] = field(default_factory=list)

    def start(self) -> None:
        """Start all."""
        for child in self.children:
            self._start(child)

    def add(self, child: Child) -> None:
        """Start one more."""
        self.children.append(child)
        self._start(child)

    def dismiss(self, name: str) -> None:
        """SIGTERM to a child, which is not started again."""
        for child in self.children:
            if child.name == name:
                child.leaving = True
                if child.process is not None:
                    child.process.terminate()

    def poll(self) -> list[str]:
        """Restart whatever has ended; gives their names. Call it several times a second."""
        ended = []
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                ended.append(child.name)
                self._note_end(child, now)
            if child.process is None and now >= child.due_at and not child.leaving:
                child.restarts += 1
                self._start(child)
        self.children = [each for each in self.children if each.process or not each.leaving]
        return ended

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a child, for fault tests: its successor need not wait."""
        for child in self.children:
            if child.name == name and child.process is not None:
                child.process.send_signal(number)
                child.quick_ends = 0  # that one did not end by itself

    def stop(self) -> dict[str, int]:
        """SIGTERM to each in turn, SIGKILL to what does not drain in time; gives exit codes."""
        codes = {}
        for child in self.children:
            if child.process is None:
                continue
            child.process.terminate()
            try:
                codes[child.name] = child.process.wait(_DRAIN_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("%s did not drain within %.0f s: killed", child.name, _DRAIN_SECONDS)
                child.process.kill()
                codes[child.name] = child.process.wait()
            metrics.RUNNING_WORKERS.labels(child.kind).dec()
            child.process = None
        return codes

    def _start(self, child: Child) -> None:
        output: IO[bytes] | None = None if child.log is None else child.log.open("ab")
        child.process = subprocess.Popen(  # noqa: S603 - our own command line
            leashed(child.command, signal.SIGTERM),
            env={**os.environ, **child.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        if output is not None:
            output.close()
        child.started_at = time.monotonic()
        metrics.RUNNING_WORKERS.labels(child.kind).inc()
        for reason in REASONS:
            metrics.WORKER_ENDS.labels(child.kind, reason)

    def _note_end(self, child: Child, now: float) -> None:
        assert child.process is not None
        after = "" if child.leaving else ": restarting it"
        logger.warning("%s ended with %s%s", child.name, child.process.returncode, after)
        metrics.RUNNING_WORKERS.labels(child.kind).dec()
        if not child.leaving:
            metrics.WORKER_ENDS.labels(child.kind, reason_of(child.process.returncode)).inc()
        quick = now - child.started_at < _QUICK_SECONDS
        child.quick_ends = child.quick_ends + 1 if quick else 0
        pause = (
            0.0
            if child.quick_ends < 3
            else min(2.0 ** (child.quick_ends - 3), _LONGEST_PAUSE_SECONDS)
        )
        child.due_at = now + pause
        child.process = None


def worker(
    name: str,
    environment: Mapping[str, str],
    logs: Path | None = None,
    called: str | None = None,
) -> Child:
    """A worker in this interpreter; its output goes to a file in `logs`, or where ours goes.

    `called` tells it from another of the same name. Polars gets one thread a worker: the workers
    themselves are the parallelism.
    """
    return _child(name, ("worker", name), environment, logs, called or name)


def command(name: str, environment: Mapping[str, str], logs: Path | None = None) -> Child:
    """A command of `drawdown` that runs until it is told to stop: exporter, gateway."""
    return _child(name, (name,), environment, logs, name)


def metrics_registry() -> CollectorRegistry:
    """What the supervisor's own `/metrics` shows: its children, and why they ended.

    A worker that was killed cannot say so: it is counted where it is seen.
    """
    registry = CollectorRegistry()
    for metric in (metrics.RUNNING_WORKERS, metrics.WORKER_ENDS):
        registry.register(metric)
    return registry


def _child(
    kind: str, arguments: Sequence[str], given: Mapping[str, str], logs: Path | None, called: str
) -> Child:
    return Child(
        called,
        [sys.executable, "-m", "deploy.cli", *arguments],
        {"POLARS_MAX_THREADS": "1", **given},
        None if logs is None else logs / f"{called}.log",
        kind,
    )
