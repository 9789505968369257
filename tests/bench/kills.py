"""Is a contender exact after its processes were killed? At the same places for all, from a seed.

A place is a share of the input. When that much is applied, and a random moment later, one process
is killed with SIGKILL; its supervisor starts it again at once. Who has passed the next place by
then is killed there and then.
"""

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.audit import Expected, Verdict
from tests.bench.contender import Contender
from tests.bench.servers import Broker
from tests.bench.trial import Ends, Trial, on_trial

_POLL_SECONDS: Final = 0.05
_LATER_SECONDS: Final = 1.0
_BACK_SECONDS: Final = 120.0
_ALL_SECONDS: Final = 1_800.0


@dataclass(frozen=True)
class Killed:
    """What an audit found after so many kills; `seconds` is all of it, from the start on."""

    kills: int
    seconds: float
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
    """Run a file of usage through a contender that is killed `kills` times, and audit it."""
    with on_trial(
        contender, broker, folder, accounts=accounts, partitions=partitions, workers=workers
    ) as trial:
        ends = trial.load(path)
        began = time.monotonic()
        trial.start()
        done = _kill(trial, ends, kills, random.Random(seed))
        trial.wait(ends, _ALL_SECONDS)
        seconds = time.monotonic() - began
        return Killed(done, seconds, trial.verdict(expected))


def _kill(trial: Trial, ends: Ends, kills: int, rng: random.Random) -> int:
    """Gives how many were killed before all was done."""
    names = [command.name for command in trial.commands]
    for number in range(kills):
        place = {at: end * number // kills + 1 for at, end in ends.items() if end}
        until = time.monotonic() + _BACK_SECONDS
        victim, later = rng.randrange(1 << 20), rng.uniform(0, _LATER_SECONDS)
        while not any(trial.done({at: offset}) for at, offset in place.items()):
            assert time.monotonic() < until, f"{trial.contender.name} is stuck:\n{trial.said()}"
            time.sleep(_POLL_SECONDS)
        until = time.monotonic() + later
        while time.monotonic() < until:
            if trial.done(ends):
                return number
            time.sleep(_POLL_SECONDS)
        trial.supervisor.kill(names[victim % len(names)])
    return kills
