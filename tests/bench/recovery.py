"""Seconds from SIGKILL of a worker until its successor commits: detection and restart included."""

import time
from statistics import median
from typing import Final

from deploy.workers import WORKERS
from tests.bench.drawdown import Drawdown
from tests.bench.pace import sending
from tests.bench.session import Row, Section, Session
from tests.bench.trial import Trial, apart

_TIMES: Final = 5
_RATE: Final = 1_000
_SECONDS_EACH: Final = 30
_BETWEEN_SECONDS: Final = 6.0
_POLL_SECONDS: Final = 0.02
_BACK_SECONDS: Final = 120.0


def run(session: Session) -> Section:
    """Each worker in turn is killed while usage flows; five times, once in a quick session."""
    times = 1 if session.quick else _TIMES
    path = session.usage(events=_RATE * _SECONDS_EACH * times * len(WORKERS))
    drawdown = Drawdown("plain", durable=session.durable)
    taken: dict[str, list[float]] = {name: [] for name in WORKERS}
    with apart(session, drawdown) as trial:
        trial.start()
        with sending(trial, path, _RATE):
            _wait(trial, drawdown, WORKERS[-1], drawdown.pipeline.progress(WORKERS[-1]))
            for name in WORKERS * times:
                session.say(f"recovery: {name}")
                _live(trial, _BETWEEN_SECONDS)
                taken[name].append(_recover(trial, drawdown, name))
    rows: list[Row] = [
        {
            "worker": name,
            "kills": len(seconds),
            "least s": round(min(seconds), 1),
            "median s": round(median(seconds), 1),
            "most s": round(max(seconds), 1),
        }
        for name, seconds in taken.items()
    ]
    note = f"One worker a stage, {_RATE:,} events/s, the supervisor's restart included."
    return Section("recovery", "Recovery from SIGKILL", note, rows)


def _recover(trial: Trial, drawdown: Drawdown, name: str) -> float:
    """Kill it, and wait for a commit of its successor: the dead one commits no more."""
    started = time.monotonic()
    trial.supervisor.kill(f"{name}-0")
    while f"{name}-0" not in trial.supervisor.poll():
        time.sleep(_POLL_SECONDS)
    _wait(trial, drawdown, name, drawdown.pipeline.progress(name))
    return time.monotonic() - started


def _wait(trial: Trial, drawdown: Drawdown, name: str, before: int) -> None:
    give_up = time.monotonic() + _BACK_SECONDS
    while drawdown.pipeline.progress(name) <= before:
        assert time.monotonic() < give_up, f"{name} is not back:\n{trial.said()}"
        trial.supervisor.poll()
        time.sleep(_POLL_SECONDS)


def _live(trial: Trial, seconds: float) -> None:
    """Longer than what the supervisor takes for a quick end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        trial.supervisor.poll()
        time.sleep(_POLL_SECONDS)
