"""What is likely in one world: each raises some odds and lowers others, by its seed.

Where everything is a little likely, nothing happens often enough to meet what needs it twice (Groce
et al., "Swarm Testing", ISSTA 2012).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from schemas.topics import ALERTS, LEDGER, REJECTED, USAGE

T = TypeVar("T")
_FACTORS: Final = (0.2, 1.0, 1.0, 6.0)


@dataclass(frozen=True, slots=True)
class Odds:
    """How one world is: `kept` rows are cached by a fold, a frame holds up to `batch` records.

    Up to `landing` records reach the log at a poll, those of the topic `slow` seldom. At each
    effect Redis goes down with the probability `outage`, and comes back without its last commands.
    """

    kept: int
    batch: int
    landing: int
    slow: str | None
    outage: float

    @property
    def few(self) -> int:
        """Admission examines more usage records in columns, fewer one by one."""
        return 0 if self.kept == 1 else 2 if self.batch == 3 else 6


def drawn(chance: Random) -> Odds:
    """Those of one world."""
    slow = chance.choice((None, None, REJECTED, USAGE, LEDGER, ALERTS))
    return Odds(
        kept=chance.choice((1, 4, 200_000)),
        batch=chance.choice((3, 12, 40)),
        landing=chance.choice((1, 4)),
        slow=None if slow is None else slow.name,
        outage=chance.choice((0.0, 0.0, 0.01)),
    )


def swarm(chance: Random, weights: Mapping[T, float]) -> dict[T, float]:
    """`weights`, each of them raised, lowered or as it is."""
    return {what: weight * chance.choice(_FACTORS) for what, weight in weights.items()}


def pick(chance: Random, weights: Mapping[T, float]) -> T:
    """One of them, by its weight."""
    return chance.choices(list(weights), list(weights.values()))[0]
