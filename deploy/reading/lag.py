"""How far each stage is behind, in records of its input, by the positions in Redis, which rule."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from deploy.reading.surroundings import Surroundings
from processors.rating.stage import RATING
from projections.balances.stage import BALANCES
from projections.delivery.settings import STAGE as WEBHOOKS
from projections.delivery.store import DeliveryStore
from schemas.frames import Source
from schemas.topics import ALERTS, CREDITS, USAGE, Topic


@dataclass(frozen=True, slots=True)
class Lag:
    """One stage's partition: the next record it will read, and the end of what it reads."""

    stage: str
    partition: int
    topic: str
    position: int
    end: int

    @property
    def records(self) -> int:
        """Records not yet read; never negative, though the end was asked for first."""
        return max(0, self.end - self.position)

    def to_dict(self) -> dict[str, object]:
        """What `--json` prints."""
        return {
            "stage": self.stage,
            "partition": self.partition,
            "topic": self.topic,
            "position": self.position,
            "end": self.end,
            "lag": self.records,
        }


def measure(around: Surroundings) -> list[Lag]:
    """The lag of every stage and partition. Raises LogUnavailable, StoreUnavailable."""
    numbers = around.partitions()
    found = _admission(around, numbers, USAGE, Source.USAGE)
    found += _admission(around, numbers, CREDITS, Source.CREDITS)
    for kind in (RATING, BALANCES):
        ends = around.log.ends(kind.reads.name, numbers)
        for number in numbers:
            at = around.snapshots.take(number, kind.name, ()).position.offset
            found.append(Lag(kind.name, number, kind.reads.name, at, ends[number]))
    return found


def measure_webhooks(around: Surroundings) -> list[Lag]:
    """The alerts that the dispatchers have not taken in; nothing where there never was one.

    What they have taken in and not delivered yet waits in Redis: `drawdown subscriptions list`.
    """
    reader = around.snapshots
    store = DeliveryStore(reader.client, reader.key_prefix, reader.patience)
    positions = store.positions()
    if not positions:
        return []
    found = []
    for number, (low, high) in around.log.bounds(ALERTS.name, around.partitions()).items():
        at = positions[number].offset if number in positions else low
        found.append(Lag(WEBHOOKS, number, ALERTS.name, at, high))
    return found


def _admission(around: Surroundings, numbers: list[int], topic: Topic, source: Source) -> list[Lag]:
    bounds = around.log.bounds(topic.name, numbers)
    found = []
    for number in numbers:
        low, high = bounds[number]
        held = around.claims.held(number)
        at = low if held is None else held.vector[source]
        found.append(Lag("admission", number, topic.name, at, high))
    return found


def show(lags: list[Lag], console: Console) -> None:
    """Print one line for each stage and partition, and the sum."""
    table = Table("stage", "partition", "topic", "position", "end", "lag")
    for lag in lags:
        figures = (f"{lag.position:,}", f"{lag.end:,}", f"{lag.records:,}")
        table.add_row(lag.stage, str(lag.partition), lag.topic, *figures)
    console.print(table)
    console.print(f"{sum(lag.records for lag in lags):,} records of lag")
