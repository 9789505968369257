"""What an admission worker is told: addresses, names and the windows, checked before it starts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from projections.access import Kafka, Redis
from schemas.errors import ConfigurationError
from schemas.topics import Topic

BrokerTime = Literal["append", "create", "auto"]


def microseconds(span: timedelta) -> int:
    """A duration as exact microseconds."""
    return span // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """Settings of one worker. Raises ConfigurationError when they contradict each other.

    `broker_time` says whose clock stamps received_at: the broker's (`append`), the producer's
    (`create`, for trying), or whichever each record carries (`auto`). `instance_id` makes the group
    membership static, so a restarted worker gets its partitions back at once; None: it leaves the
    group when it stops.
    """

    kafka: Kafka
    redis: Redis
    topic_prefix: str = ""
    key_prefix: str = "drawdown"
    group: str = "drawdown.admission"
    instance_id: str | None = None
    max_event_age: timedelta = timedelta(days=3)
    max_event_lead: timedelta = timedelta(minutes=5)
    dedupe_window: timedelta = timedelta(days=3)
    tick_busy_seconds: float = 1.0
    tick_idle_seconds: float = 15.0
    batch: int = 20_000
    broker_time: BrokerTime = "append"
    session_timeout_ms: int = 6_000
    keys_per_generation: int = 1_000_000

    def __post_init__(self) -> None:
        zero = timedelta()
        if self.dedupe_window < self.max_event_age:
            raise ConfigurationError(
                f"dedupe_window ({self.dedupe_window}) is shorter than max_event_age"
                f" ({self.max_event_age}): a late repeat would be counted twice"
            )
        if self.dedupe_window <= zero or self.max_event_age < zero or self.max_event_lead < zero:
            raise ConfigurationError("max_event_age, max_event_lead and dedupe_window are positive")
        if self.batch < 1 or self.keys_per_generation < 1:
            raise ConfigurationError("batch and keys_per_generation are at least 1")
        if self.tick_busy_seconds <= 0 or self.tick_idle_seconds < self.tick_busy_seconds:
            raise ConfigurationError("0 < tick_busy_seconds <= tick_idle_seconds must hold")

    def topic(self, topic: Topic) -> str:
        """The name of a topic in this deployment."""
        return f"{self.topic_prefix}{topic.name}"
