"""What every in-memory client tells its world: an effect is about to happen, or has happened."""

from random import Random
from typing import Protocol


class Killed(BaseException):
    """The process was killed here. No code of the pipeline catches it."""


class Node(Protocol):
    """The process that a client belongs to, as the client sees it."""

    chance: Random

    def effect(self, name: str) -> None:
        """Before and after each effect. May raise Killed, and may let other processes run."""

    def luck(self, probability: float) -> bool:
        """Whether a fault of this probability strikes now; never while the world is calm."""


class Calm:
    """A node to which nothing happens: for contract tests and for readers."""

    def __init__(self) -> None:
        self.chance = Random(0)

    def effect(self, name: str) -> None:
        """Nothing."""

    def luck(self, probability: float) -> bool:
        """Never."""
        return probability >= 1
