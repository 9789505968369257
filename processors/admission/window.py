"""The time window: how far an event's own time may lie from the time it was received.

`received_at - max_event_age <= time <= received_at + max_event_lead` (architecture.md section 4,
credits.md section 9). It compares raw timestamps, never the journal's clock, so the decision
depends on nothing but the record and the settings.
"""

from dataclasses import dataclass

from schemas.reasons import Reason, Refusal
from schemas.times import format_instant


@dataclass(frozen=True, slots=True)
class Window:
    """Both bounds in microseconds, both inclusive."""

    max_age: int
    max_lead: int

    def refuse(self, time: int, received_at: int) -> Refusal | None:
        """None inside the window, else `too_old` or `too_early`."""
        if time < received_at - self.max_age:
            return Refusal(Reason.TOO_OLD, _detail(time, received_at, "max_event_age"), "time")
        return self.refuse_early(time, received_at)

    def refuse_early(self, time: int, received_at: int) -> Refusal | None:
        """Of what may be of any age, as a backfill may: None, or `too_early`."""
        if time > received_at + self.max_lead:
            return Refusal(Reason.TOO_EARLY, _detail(time, received_at, "max_event_lead"), "time")
        return None


def _detail(time: int, received_at: int, bound: str) -> str:
    return (
        f"time {format_instant(time)} is outside {bound}"
        f" of its arrival at {format_instant(received_at)}"
    )
