"""Is a contender exact though its processes are killed? At the same moments for all, from a seed.

A file of usage is sent at a fixed rate, and one process after the other gets SIGKILL, one in every
five seconds on average; a supervisor starts it again at once. What piles up meanwhile is what the
next ones are killed in.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.audit import Expected, Verdict
from tests.bench.contender import Contender
from tests.bench.pace import sending
from tests.bench.servers import Broker
from tests.bench.trial import Trial, on_trial

_EVERY_SECONDS: Final = 5
_POLL_SECONDS: Final = 0.02
_ALL_SECONDS: Final = 1_800.0


@dataclass(frozen=True)
class Killed:
    """What an audit found after so many kills of running processes."""

    kills: int
    verdict: Verdict


def killed(
    contender: Contender,
    broker: Broker,
    folder: Path,
    path: Path,
    expected: Expected,
    *,
    accounts: int,
    partitions: int,
    workers: int,
    kills: int,
    seed: int,
) -> Killed:
    """Send a file of usage to a contender that is killed `kills` times, and audit it."""
    rng = random.Random(seed)
    moments = [(number + rng.random()) * _EVERY_SECONDS for number in range(kills)]
    victims = [rng.random() for _ in moments]
    rate = max(expected.events // (kills * _EVERY_SECONDS), 1)
    with on_trial(
        contender, broker, folder, accounts=accounts, partitions=partitions, workers=workers
    ) as trial:
        trial.start()
        with sending(trial, path, rate) as sender:
            done = _kill(trial, moments, victims)
            trial.outlive(sender)
        trial.wait(trial.ends(), _ALL_SECONDS)
        return Killed(done, trial.verdict(expected))


def _kill(trial: Trial, moments: Sequence[float], victims: Sequence[float]) -> int:
    """Gives how many were killed: not one that was being started again."""
    names = [command.name for command in trial.commands]
    started, done = time.monotonic(), 0
    for moment, victim in zip(moments, victims, strict=True):
        while time.monotonic() < started + moment:
            trial.supervisor.poll()
            time.sleep(_POLL_SECONDS)
        name = names[int(victim * len(names))]
        done += any(c.name == name and c.process is not None for c in trial.supervisor.children)
        trial.supervisor.kill(name)
    return done
