"""Events into the log, each request answered when every in-sync replica has all that it sent.

A request that is answered with 503 may still arrive: the event's id makes a retry safe.
"""

from collections.abc import Sequence
from typing import Final

from ingest.gateway.events import Posted
from projections.access import Kafka
from projections.confirming import ConfirmingProducer
from schemas.topics import USAGE

MOST_PENDING: Final = 100_000
"""Events that were taken and are not confirmed; more are asked to come later."""


class Sender:
    """Sends to the topic of usage. `send` is called from one event loop."""

    def __init__(
        self, kafka: Kafka, topic_prefix: str = "", most_pending: int = MOST_PENDING
    ) -> None:
        self._topic = topic_prefix + USAGE.name
        self._producer = ConfirmingProducer(
            kafka,
            most_pending,
            {
                "linger.ms": 5,
                "batch.num.messages": 10_000,
                "batch.size": 1_000_000,
                "queue.buffering.max.kbytes": 512 * 1024,
            },
        )

    @property
    def pending(self) -> int:
        """Events that Kafka has not confirmed yet."""
        return self._producer.pending

    def connect(self) -> None:
        """See that the broker answers and the topic is there.

        Raises LogUnavailable, and ConfigurationError where this client is refused.
        """
        self._producer.connect(self._topic)

    async def send(self, events: Sequence[Posted]) -> None:
        """Return when all of `events` are confirmed.

        Raises Busy, with none of them sent, and LogUnavailable, with each of them sent or not.
        """
        await self._producer.send(self._topic, events)

    def close(self) -> None:
        """Wait for what is under way, as long as a request would."""
        self._producer.close()
