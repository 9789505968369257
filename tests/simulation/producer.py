"""A Kafka producer over the log in memory, as far as the pipeline uses one.

It obeys the contract suite that a real one obeys (`test_contracts`). Its node makes
acknowledgements late; the world makes records expire, or the process die with some on the wire.
"""

# ruff: noqa: D102 - as Kafka's client is called

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError

from processors.admission.examine import FORWARDED_HEADER, KIND_HEADER
from schemas.partition import partition_of
from tests.simulation.log import Broker, Headers, Place
from tests.simulation.node import Node

_EXPIRED = KafkaError(KafkaError._MSG_TIMED_OUT)
Confirm = Callable[[KafkaError | None, Any], None]


@dataclass(slots=True)
class _Sent:
    what: str
    place: Place
    stored: tuple[bytes | None, bytes | None, Headers | None]
    confirm: Confirm


@dataclass
class Producer:
    """An idempotent producer: each partition's records land in the order in which they were sent.

    What lands when is the world's choice (`land`): at most `landing` records at a poll, as long as
    there is chaos; a report is given by `poll`, later.
    """

    broker: Broker
    node: Node
    landing: int = 4
    queues: dict[Place, deque[_Sent]] = field(default_factory=dict)
    reports: deque[tuple[_Sent, KafkaError | None]] = field(default_factory=deque)

    def produce(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int = -1,
        on_delivery: Confirm | None = None,
    ) -> None:
        what = _name(topic, headers)
        self.node.effect(f"send {what}")
        if partition < 0:
            partition = partition_of((key or b"").decode(), len(self.broker.topics[topic]))
        place = (topic, partition)
        confirm = on_delivery or (lambda _error, _message: None)
        self.queues.setdefault(place, deque()).append(
            _Sent(what, place, (key, value, headers), confirm)
        )
        self.node.effect(f"sent {what}")

    def land(self, most: int) -> int:
        """Up to `most` records reach the log, of partitions by chance; how many did."""
        landed = 0
        while landed < most and (waiting := self._moving()):
            sent = self.node.chance.choice(waiting).popleft()
            self.broker.append(sent.place, *sent.stored)
            self.reports.append((sent, None))
            landed += 1
        return landed

    def _moving(self) -> list[deque[_Sent]]:
        """What may land now."""
        return [
            queue
            for (topic, _), queue in self.queues.items()
            if queue and not (topic == self.broker.slow and self.node.luck(0.9))
        ]

    def expire(self) -> None:
        """One record is given up, though what was sent behind it may still land."""
        waiting = [queue for queue in self.queues.values() if queue]
        if waiting:
            queue = self.node.chance.choice(waiting)
            place = self.node.chance.randrange(len(queue))
            self.reports.append((queue[place], _EXPIRED))
            del queue[place]
            self.land(self.node.chance.randint(0, 3))

    def poll(self, seconds: float = 0) -> int:
        """Reports of what has landed; while the world is calm everything lands here."""
        self.land(self.node.chance.randint(0, self.landing) if self.node.luck(0.8) else 1_000)
        served = 0
        while self.reports and not self.node.luck(0.2):
            self._report()
            served += 1
        if not served:
            self.broker.clock.sleep(seconds)
        return served

    def flush(self, _seconds: float) -> int:
        """Everything lands and is told, unless time is up before."""
        if self.node.luck(0.3):
            return sum(map(len, self.queues.values()))
        self.land(1_000)
        while self.reports:
            self._report()
        return sum(map(len, self.queues.values()))

    def _report(self) -> None:
        sent, error = self.reports.popleft()
        if error is None:
            self.node.effect(f"acknowledged {sent.what}")
        sent.confirm(error, None)

    def purge(self, **_which: bool) -> None:
        for queue in self.queues.values():
            queue.clear()

    def orphan(self) -> None:
        """The process is dead: some first records are on the wire and may still land."""
        for queue in self.queues.values():
            on_wire = self.node.chance.choice((0, 0, 1, 3))
            while len(queue) > on_wire:
                queue.pop()


def _name(topic: str, headers: Headers | None) -> str:
    """What is sent, as the trace and the coverage of kills call it."""
    names = {name for name, _ in headers or ()}
    if KIND_HEADER in names:
        return "tick"
    return "forward" if FORWARDED_HEADER in names else topic.split(".")[1]
