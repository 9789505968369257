"""`--rebase-time END=now`: one constant moves a history to end (or start) at an instant.

All rows move by the same number of microseconds: distances between them stay exact. Pure: `now` is
given.
"""

from dataclasses import dataclass
from typing import Literal

from schemas.errors import ConfigurationError
from schemas.times import TimeError, parse_instant


@dataclass(frozen=True, slots=True)
class Rebase:
    """Move the latest (`END`) or the earliest (`START`) time to `instant`, in microseconds."""

    edge: Literal["START", "END"]
    instant: int

    def shift(self, earliest: int, latest: int) -> int:
        """The constant to add to every time, in microseconds."""
        return self.instant - (latest if self.edge == "END" else earliest)


def parse_rebase(text: str, now: int) -> Rebase:
    """`END=now`, `START=2026-01-01T00:00:00Z`, … Raises ConfigurationError for anything else.

    `now` is in microseconds; an instant without an offset is UTC.
    """
    edge, _, instant = text.partition("=")
    if edge not in {"START", "END"} or not instant:
        message = f"--rebase-time {text!r}: expected END=now, or START= or END= and an instant"
        raise ConfigurationError(message)
    if instant == "now":
        return Rebase("END" if edge == "END" else "START", now)
    try:
        at = parse_instant(instant, naive_is_utc=True)
    except TimeError as error:
        message = f"--rebase-time {text!r}: {error}"
        raise ConfigurationError(message) from error
    return Rebase("END" if edge == "END" else "START", at)
