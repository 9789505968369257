"""Which fault strikes when: drawn from a seed before the run, so that a run can be had again. Pure.

Faults come about one a minute, each kind once in every round of all kinds. A run is calm at its
start and at its end, so that what the faults have left behind can be told.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from deploy.servers.find import Kind
from deploy.workers import WORKERS

Way = Literal["kill", "pause", "restart"]
_CALM: Final = 10
"""One part in so many, at the start and at the end; in a short run more."""
_LEAST_CALM_SECONDS: Final = 20
_PAUSE_SECONDS: Final = (8.0, 14.0)
_DOWN_SECONDS: Final = (0.5, 5.0)


@dataclass(frozen=True, slots=True)
class Blow:
    """One kind of fault: what it does to whom."""

    way: Way
    target: str

    @property
    def name(self) -> str:
        """As tables have it."""
        return f"{self.way} {self.target}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A blow `at` seconds after the start; `holds` is how long its target is stopped or down."""

    at: float
    blow: Blow
    holds: float


def blows(kind: Kind) -> list[Blow]:
    """Workers are killed, or paused for longer than a session lasts; servers come back.

    The embedded servers keep nothing over a restart, so they are left alone.
    """
    found = [Blow("kill", name) for name in WORKERS] + [Blow("pause", name) for name in WORKERS]
    if kind == "apache":
        found += [Blow("restart", "broker"), Blow("restart", "redis")]
    return found


def plan(seed: int, seconds: int, every: int, kinds: Sequence[Blow]) -> list[Fault]:
    """The faults of a run of `seconds`, one in about `every` seconds, in their order."""
    rng = random.Random(seed)
    order = _rounds(rng, kinds)
    found = []
    calm = max(seconds / _CALM, min(_LEAST_CALM_SECONDS, seconds / 4))
    at = calm + rng.uniform(0, every / 2)
    while at < seconds - calm:
        blow = next(order)
        found.append(Fault(at, blow, _holds(rng, blow)))
        at += rng.uniform(every * 2 / 3, every * 4 / 3)
    return found


def _rounds(rng: random.Random, kinds: Sequence[Blow]) -> Iterator[Blow]:
    while True:
        yield from rng.sample(kinds, len(kinds))


def _holds(rng: random.Random, blow: Blow) -> float:
    match blow.way:
        case "kill":
            return 0.0
        case "pause":
            return rng.uniform(*_PAUSE_SECONDS)
        case "restart":
            return rng.uniform(*_DOWN_SECONDS)
