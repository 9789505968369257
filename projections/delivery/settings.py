"""What the dispatcher's process needs to know of its surroundings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from projections.access import Kafka, Redis

STAGE: Final = "webhooks"
IN_FORCE_SECONDS: Final = 5.0
"""After it, a change of the file of subscriptions is in force in every dispatcher that is well.

Each looks once a second; the rest is for what is under way, and for a busy machine.
"""


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Durations are microseconds unless their names say seconds."""

    kafka: Kafka
    redis: Redis
    topic_prefix: str
    key_prefix: str
    member: str
    subscriptions: Path
    delays: tuple[int, ...]
    """What is waited after each attempt: one more attempt than there are delays."""
    disable_after: int
    """A subscription that has only failed for so long is disabled."""
    timeout_seconds: int
    """Of one attempt, from its start to the answer's end."""
    concurrency: int
    """Attempts under way for one subscription."""
    most_waiting: int
    """Deliveries that wait for one subscription; more are dead letters."""
    session_timeout_seconds: int
    outage_seconds: int
    progress_seconds: int
    health_host: str
    health_port: int
