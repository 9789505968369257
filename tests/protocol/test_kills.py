"""Rating on a real Redis, killed at any step, among zombies: rated log and rows stay the same.

A seeded simulation. The journal holds repeats, other cuts and frames behind gaps; workers fold a
few records, some outputs land, some are acknowledged, then a worker is killed or becomes a zombie
that goes on later. Afterwards every event is in the rated log once, priced as by one worker.
"""

# ruff: noqa: D102 - the parts are as used

import random
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import polars as pl
import pytest
import redis

from processors.rating import stage as rating
from processors.rating.stage import RatingFold
from projections.fold import position, stage
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
    decode_rated,
    encode,
)
from schemas.topics import RATED
from tests.builders import at, document, tick, usage
from tests.protocol.mutation import mutant, script
from tests.protocol.test_position import JOURNAL_UNSEEN
from tests.protocol.test_stage import DELIVERY_FIRST, NO_WAIT
from tests.protocol.test_store import COMMIT_CHECK, READ_CHECK

pytestmark = pytest.mark.integration

EVENTS = 40
ACCOUNTS = tuple("abcdef")
SEEDS = range(25)
START = at("2026-03-01")
STAGE = "rating"
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
    *({"kind": "Account", "id": name, "rate_card": "standard"} for name in ACCOUNTS),
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

    def __init__(self, log: list[bytes]) -> None:
        self.log = log
        self._queue: list[tuple[Output, Delivery]] = []
        self._landed: list[Delivery] = []

    def send(self, output: Output) -> Delivery:
        delivery = Delivery()
        self._queue.append((output, delivery))
        return delivery

    def land(self, count: int) -> None:
        for output, delivery in self._queue[:count]:
            if output.topic is RATED:
                self.log.append(output.value)
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


class World:
    """One partition of rating: its journal, its rated log, its Redis, and who works on it."""

    def __init__(self, client: redis.Redis, prefix: str, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rows = admitted(self.chance)
        self.journal = written(self.chance, self.rows)
        self.rated: list[bytes] = []
        self.stage: ModuleType = stage
        self.lua: str | None = None
        self.refused_go_on = False
        self._client, self._prefix = client, f"{prefix}{seed}"

    def worker(self) -> Worker:
        store = PartitionStore(self._client, self._prefix, 0, STAGE, Patience(2.0))
        if self.lua is not None:
            store._script = self._client.register_script(self.lua)
        found = store.open() or Position()
        box = Landing(self.rated)
        return self.stage.StagePartition(RatingFold(0, found, store), store, box, found), box

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
                worker.process(self.journal[start : start + self.chance.randint(1, 4)], None)
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
        worker.process(self.journal[worker.folded.offset :], None)
        worker.settle(wait_for=0)

    def outcome(self) -> tuple[list[Any], dict[str, bytes]]:
        """What a reader of the rated log sees, and the rows that were committed."""
        snapshot = SnapshotReader(self._client, self._prefix, Patience(2.0)).take(0, STAGE)
        return read(self.rated), snapshot.rows

    def truth(self) -> tuple[list[Any], dict[str, bytes]]:
        """What one worker makes of the rows in one go, without repeats, cuts or kills."""
        reader = MemoryReader()
        fold = RatingFold(0, Position(), reader)
        outputs = fold.apply(self.journal)
        reader.commit(fold.take_changes())
        return read([output.value for output in outputs if output.topic is RATED]), reader.rows


def read(log: Sequence[bytes]) -> list[Any]:
    """The rows of the rated log as its readers take them."""
    reader = OutputReader(decode_rated)
    parts = [part for part in map(reader.feed, log) if part is not None]
    return [row for part in parts for row in part.rows()]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """The session's Redis."""
    with redis.Redis.from_url(redis_url) as found:
        yield found


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_anywhere_the_rated_log_and_the_rows_are_the_same(
    client: redis.Redis, topic_prefix: str, seed: int
) -> None:
    """I1, I4 and I5 for rating, through kills and zombies."""
    world = World(client, topic_prefix, seed)
    expected = world.truth()
    world.run()

    events = [row["id"] for row in world.rows if row["kind"] == JournalKind.USAGE]
    names = pl.Schema(decode_rated(world.rated[0]).rows.schema).names()
    rated = [row[names.index("id")] for row in world.outcome()[0]]
    assert [name for name in rated if name is not None] == events
    assert world.outcome() == expected


MUTATIONS = (
    "outputs before the commit",
    "checked reads",
    "checked commits",
    "repeats skipped",
    "refused workers end",
)


def take_out(name: str, world: World, patch: pytest.MonkeyPatch) -> None:
    """Let `world` run without the clause called `name`."""
    match name:
        case "outputs before the commit":
            world.stage = mutant(stage, DELIVERY_FIRST, NO_WAIT)
        case "checked reads":
            bare = "if operation == 'read' then"
            world.lua = script("projections.fold", "store.lua", READ_CHECK, bare)
        case "checked commits":
            bare = "  local at = 5"
            world.lua = script("projections.fold", "store.lua", COMMIT_CHECK, bare)
        case "repeats skipped":
            changed = mutant(position, JOURNAL_UNSEEN, "pass")
            patch.setattr(rating, "JournalReader", changed.JournalReader)
        case _:
            world.refused_go_on = True


@pytest.mark.parametrize("name", MUTATIONS)
def test_without_a_clause_the_simulation_finds_the_damage(
    client: redis.Redis, topic_prefix: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simulation that finds nothing proves nothing: it must see each clause missing."""
    damaged = []
    for seed in SEEDS:
        world = World(client, topic_prefix, seed)
        expected = world.truth()
        with monkeypatch.context() as patch:
            take_out(name, world, patch)
            world.run()
        if world.outcome() != expected:
            damaged.append(seed)
            break
    assert damaged, name
