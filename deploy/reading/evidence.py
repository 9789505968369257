"""Everything that the logs and Redis say about one partition, gathered for `deploy.reading.prove`.

Positions are read first, then the logs up to their ends, downstream before upstream: outputs are
written before they are committed, so the logs then hold all that the positions claim, though
workers go on.
One partition's journal and outputs are held in memory; the raw topics are streamed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import polars as pl

from processors.admission.claims import Claims
from projections.balances.stage import STAGE as BALANCES_STAGE
from projections.fold.log import Log, Read
from projections.fold.position import ZERO, JournalReader, OutputReader, Position
from projections.fold.snapshot import Snapshot, SnapshotReader
from projections.rates.rows import STAGE as RATING_STAGE
from schemas.errors import FrameError, LogReplacedError
from schemas.frames import (
    JOURNAL_SCHEMA,
    LEDGER_SCHEMA,
    RATED_SCHEMA,
    Source,
    Vector,
    decode_ledger,
    decode_rated,
)
from schemas.topics import ALERTS, CATALOG, CREDITS, JOURNAL, LEDGER, RATED, USAGE, Topic

PLACED_JOURNAL: Final = pl.Schema(
    [*JOURNAL_SCHEMA.items(), ("journal_offset", pl.Int64()), ("row", pl.Int64())]
)
RAW_TOPICS: Final = {Source.CATALOG: CATALOG, Source.CREDITS: CREDITS, Source.USAGE: USAGE}


@dataclass(frozen=True, slots=True)
class RawLog:
    """One raw topic's partition: its first offset, and its records from there on, once a call."""

    low: int
    records: Callable[[], Iterator[Read]]


@dataclass(slots=True)
class JournalLog:
    """The journal without repeats. `vector_at` is where a reader stands at rating's position."""

    rows: pl.DataFrame
    refused: list[tuple[int, int, str]]
    low: int
    vector: Vector
    vector_at: Vector
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class OutputLog:
    """Rated or ledger frames without repeats. `reached_at` is a reader's place at some offset."""

    rows: pl.DataFrame
    low: int
    reached: Vector
    reached_at: Vector
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One partition's; `acknowledged` is the source vector that admission has had confirmed."""

    partition: int
    acknowledged: Vector
    dedupe_window: int
    raw: Mapping[Source, RawLog]
    journal: JournalLog
    rating: Snapshot
    rated: OutputLog
    balances: Snapshot
    ledger: OutputLog
    alerts: list[bytes]
    alerts_low: int
    replaced: list[str] = field(default_factory=list)


def read_journal(records: Iterable[tuple[int, bytes]], low: int, until: int) -> JournalLog:
    """Fold journal records into `JournalLog`; `until` is rating's position, an offset."""
    reader, problems = JournalReader(), []
    parts: list[pl.DataFrame] = []
    refused: list[tuple[int, int, str]] = []
    at: Vector | None = None
    for offset, value in records:
        if offset == until:
            at = reader.vector
        reader.refused, reader.gap = [], None
        try:
            rows = reader.feed(offset, value)
        except FrameError as error:
            problems.append(f"journal offset {offset}: {error}")
            continue
        if reader.gap is not None:
            problems.append(f"journal offset {offset}: a gap before {reader.gap}")
            continue
        refused.extend(reader.refused)
        if rows is not None:
            parts.append(rows)
    rows = pl.concat(parts) if parts else pl.DataFrame(schema=PLACED_JOURNAL)
    return JournalLog(rows, refused, low, reader.vector, at or reader.vector, problems)


def read_rated(records: Iterable[tuple[int, bytes]], low: int, until: int) -> OutputLog:
    """The rated log, repeats dropped by position; `until` is balances' position in it."""
    return _read_outputs(records, OutputReader(decode_rated), low, until)


def read_ledger(records: Iterable[tuple[int, bytes]], low: int) -> OutputLog:
    """The ledger log, repeats dropped by position."""
    return _read_outputs(records, OutputReader(decode_ledger), low, None)


def _read_outputs(
    records: Iterable[tuple[int, bytes]], reader: OutputReader, low: int, until: int | None
) -> OutputLog:
    problems = []
    parts: list[pl.DataFrame] = []
    at: Vector | None = None
    for offset, value in records:
        if offset == until:
            at = reader.reached
        reader.gap = None
        try:
            rows = reader.feed(value)
        except FrameError as error:
            problems.append(f"offset {offset}: {error}")
            continue
        if reader.gap is not None:
            problems.append(f"offset {offset}: a gap before {reader.gap}")
        elif rows is not None:
            parts.append(rows)
    schema = LEDGER_SCHEMA if reader.decode is decode_ledger else RATED_SCHEMA
    rows = pl.concat(parts) if parts else pl.DataFrame(schema=schema)
    return OutputLog(rows, low, reader.reached, at or reader.reached, problems)


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Gathers the evidence of one deployment, partition by partition."""

    log: Log
    snapshots: SnapshotReader
    claims: Claims
    dedupe_window: int

    def gather(self, partition: int) -> Evidence:
        """Raises LogUnavailable and StoreUnavailable."""
        balances = self.snapshots.take(partition, BALANCES_STAGE)
        rating = self.snapshots.take(partition, RATING_STAGE)
        held = self.claims.held(partition)
        alerts_low, alerts = self._values(ALERTS, partition)
        ledger_low, ledger = self._values(LEDGER, partition)
        rated_low, rated = self._values(RATED, partition)
        journal_low, journal = self._values(JOURNAL, partition)
        return Evidence(
            partition=partition,
            acknowledged=ZERO if held is None else held.vector,
            dedupe_window=self.dedupe_window,
            raw={source: self._raw(source, partition) for source in Source},
            journal=read_journal(journal, journal_low, rating.position.offset),
            rating=rating,
            rated=read_rated(rated, rated_low, balances.position.offset),
            balances=balances,
            ledger=read_ledger(ledger, ledger_low),
            alerts=[value for _, value in alerts],
            alerts_low=alerts_low,
            replaced=[
                *self._replaced(JOURNAL, partition, rating.position),
                *self._replaced(RATED, partition, balances.position),
            ],
        )

    def _values(self, topic: Topic, partition: int) -> tuple[int, Iterator[tuple[int, bytes]]]:
        low, high = self.log.bounds(topic.name, [partition])[partition]
        records = self.log.read(topic.name, partition, low, high)
        return low, ((record[0], record[2]) for record in records)

    def _raw(self, source: Source, partition: int) -> RawLog:
        topic, number = RAW_TOPICS[source], 0 if source is Source.CATALOG else partition
        low, high = self.log.bounds(topic.name, [number])[number]
        return RawLog(low, partial(self.log.read, topic.name, number, low, high))

    def _replaced(self, topic: Topic, partition: int, position: Position) -> list[str]:
        try:
            self.log.check(topic.name, partition, position)
        except LogReplacedError as error:
            return [f"{topic.name} [{partition}]: {error}"]
        return []
