"""A stage's partition on a real Redis, whose workers are killed at any step or become zombies.

Seeded. The journal holds repeats, other cuts and frames behind gaps; workers fold a few records,
some outputs land, some are acknowledged, then a worker is killed or goes on later as a zombie.
"""

# ruff: noqa: D102 - the parts are as used

import random
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import polars as pl
import redis

from processors.rating.stage import RATING
from projections.balances.stage import BALANCES
from projections.fold import position, stage
from projections.fold.kind import StageKind
from projections.fold.outbox import Delivery, Outbox, Output
from projections.fold.position import OutputReader, Position
from projections.fold.retry import Patience
from projections.fold.snapshot import SnapshotReader
from projections.fold.stage import Record
from projections.fold.store import PartitionStore
from projections.rows import MemoryReader
from schemas.errors import Fenced
from schemas.frames import (
    JOURNAL_SCHEMA,
    FrameKind,
    JournalHeader,
    JournalKind,
    Vector,
    decode_ledger,
    decode_rated,
    encode,
)
from schemas.topics import ALERTS, LEDGER, RATED, Topic
from tests.rating import at, document, tick, usage

EVENTS = 40
ACCOUNTS = tuple("abcdef")
START = at("2026-03-01")
PRICE = {"model": "package", "size": "3", "price": "2"}
DOCUMENTS: list[dict[str, Any]] = [
    {"kind": "Product", "id": "p", "meter": {"event_type": "call", "aggregation": "count"}},
    {
        "kind": "RateCard",
        "id": "standard",
        "versions": [
            {
                "version": 1,
                "effective_from": "2026-01-01T00:00:00Z",
                "rates": [{"product": "p", "price": PRICE}],
            }
        ],
    },
    *(
        {
            "kind": "Account",
            "id": name,
            "rate_card": "standard",
            "alerts": [{"id": "left", "measure": "remaining_amount", "thresholds": ["3", "1"]}],
        }
        for name in ACCOUNTS
    ),
    *(
        {
            "kind": "Grant",
            "id": "first",
            "account": name,
            "type": "prepaid",
            "amount": "5",
            "effective_at": "2026-03-01T00:00:10Z",
            "expires_at": "2026-03-01T00:00:30Z",
        }
        for name in ACCOUNTS
    ),
]


def admitted(chance: random.Random) -> list[dict[str, Any]]:
    """Journal rows with their offsets in their sources."""
    rows = [document(START, fields) for fields in DOCUMENTS]
    for number in range(EVENTS):
        now = START + number * 1_000_000
        row = usage(now, chance.choice(ACCOUNTS), {}, id=f"e{number}")
        rows += [row] if number % 9 else [row, tick(now)]
    counts = dict.fromkeys((0, 1, 2), 0)
    for row in rows:
        source = _source(row)
        row["offset"] = counts[source]
        counts[source] += 1
    return rows


def _source(row: dict[str, Any]) -> int:
    return {JournalKind.CATALOG: 0, JournalKind.CREDITS: 1}.get(row["kind"], 2)


def written(chance: random.Random, rows: Sequence[dict[str, Any]]) -> list[Record]:
    """The journal as admission's workers and zombies may have left it."""
    vectors: list[Vector] = [position.ZERO]
    for row in rows:
        counts = list(vectors[-1])
        counts[_source(row)] += 1
        vectors.append((counts[0], counts[1], counts[2]))
    log: list[Record] = []
    reached = 0
    while reached < len(rows):
        start = reached if chance.random() < 0.5 else max(0, reached + chance.randint(-6, 2))
        stop = min(len(rows), start + chance.randint(1, 6))
        header = JournalHeader(vectors[min(start, stop)], vectors[stop], [])
        held = pl.DataFrame(rows[start:stop], schema=JOURNAL_SCHEMA)
        log.append((len(log), encode(FrameKind.JOURNAL, header, held)))
        if start <= reached:
            reached = max(reached, stop)
    return log


class Landing(Outbox):
    """An outbox whose records land in `log` in order, and are acknowledged later, or never."""

    def __init__(self, log: list[tuple[Topic, bytes]]) -> None:
        self.log = log
        self._queue: list[tuple[Output, Delivery]] = []
        self._landed: list[Delivery] = []

    def send(self, output: Output) -> Delivery:
        delivery = Delivery()
        self._queue.append((output, delivery))
        return delivery

    def land(self, count: int) -> None:
        for output, delivery in self._queue[:count]:
            self.log.append((output.topic, output.value))
            self._landed.append(delivery)
        del self._queue[:count]

    def acknowledge(self, count: int) -> None:
        for delivery in self._landed[:count]:
            delivery.done = True
        del self._landed[:count]

    def delivered(self, deliveries: Sequence[Delivery], *, wait: bool) -> bool:
        if wait:
            self.land(len(self._queue))
            self.acknowledge(len(self._landed))
        return all(delivery.done for delivery in deliveries)


Worker = tuple[Any, Landing]


@dataclass(frozen=True)
class Outcome:
    """What readers make of a stage's outputs, and what it keeps."""

    read: list[Any]
    alerts: set[bytes]
    rows: dict[str, bytes]


class World:
    """One partition of a stage: what it reads and wrote, its Redis, and who works on it."""

    def __init__(
        self, client: redis.Redis, prefix: str, kind: StageKind, log: list[Record], seed: int
    ) -> None:
        self.chance = random.Random(seed)
        self.kind, self.log = kind, log
        self.landed: list[tuple[Topic, bytes]] = []
        self.stage: ModuleType = stage
        self.lua: str | None = None
        self.refused_go_on = False
        self._client, self._prefix = client, f"{prefix}{seed}"

    def worker(self) -> Worker:
        store = PartitionStore(self._client, self._prefix, 0, self.kind.name, Patience(2.0))
        if self.lua is not None:
            store._script = self._client.register_script(self.lua)
        found = store.open() or Position()
        box = Landing(self.landed)
        return self.stage.StagePartition(
            self.kind.make_fold(0, found, store), store, box, found
        ), box

    def survives(self, worker: Worker) -> bool:
        """One thing happens to it; False when it was refused, and ends."""
        try:
            self.step(*worker)
        except Fenced:
            return False
        return True

    def step(self, worker: Any, box: Landing) -> None:
        """One thing that happens: records are folded, outputs land, or the commit comes."""
        match self.chance.randint(0, 3):
            case 0:
                start = worker.folded.offset
                worker.process(self.log[start : start + self.chance.randint(1, 4)], None)
            case 1:
                box.land(self.chance.randint(1, 3))
            case 2:
                box.acknowledge(self.chance.randint(1, 3))
            case _:
                worker.settle()

    def run(self) -> None:
        """Workers come and go; each may go on as a zombie while its successors work."""
        zombies: list[Worker] = []
        for _ in range(12):
            current, alive = self.worker(), True
            for _ in range(self.chance.randint(1, 10)):
                if zombies and self.chance.random() < 0.4:
                    zombies = [each for each in zombies if self.survives(each)]
                alive = self.survives(current)
                if not alive:
                    break  # a zombie was faster: it has committed what is true
            if (alive or self.refused_go_on) and self.chance.random() < 0.5:
                zombies.append(current)
            current[1].land(self.chance.randint(0, 2))
        worker, _ = self.worker()
        worker.process(self.log[worker.folded.offset :], None)
        worker.settle(wait_for=0)

    def outcome(self) -> Outcome:
        """After `run`."""
        snapshot = SnapshotReader(self._client, self._prefix, Patience(2.0))
        return outcome(self.landed, snapshot.take(0, self.kind.name).rows)

    def truth(self) -> Outcome:
        """What one worker makes of it all in one go, without kills."""
        reader = MemoryReader()
        fold = self.kind.make_fold(0, Position(), reader)
        outputs = fold.apply(self.log)
        reader.commit(fold.take_changes())
        return outcome([(output.topic, output.value) for output in outputs], reader.rows)


def outcome(landed: Sequence[tuple[Topic, bytes]], rows: dict[str, bytes]) -> Outcome:
    """Frames are read by position, alerts told apart by what they say, their id among it."""
    found: list[Any] = []
    for topic, decode in ((RATED, decode_rated), (LEDGER, decode_ledger)):
        reader = OutputReader(decode)
        parts = [reader.feed(value) for at_topic, value in landed if at_topic is topic]
        found += [row for part in parts if part is not None for row in part.iter_rows(named=True)]
    return Outcome(found, {value for topic, value in landed if topic is ALERTS}, rows)


def rating_world(client: redis.Redis, prefix: str, seed: int) -> World:
    """Rating before a journal as admission's workers and zombies may have left it."""
    chance = random.Random(seed)
    return World(client, prefix, RATING, written(chance, admitted(chance)), seed)


def balances_world(client: redis.Redis, prefix: str, seed: int) -> World:
    """Balances before the rated log as rating's killed workers and zombies have left it."""
    before = rating_world(client, prefix, seed)
    before.run()
    rated = [value for topic, value in before.landed if topic is RATED]
    return World(client, prefix, BALANCES, list(enumerate(rated)), seed)
