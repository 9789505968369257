"""The logs of a finished run, each record in them taken once: the first occurrence counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.frames import JournalKind, Vector, decode_journal, decode_ledger, decode_rated
from schemas.topics import ALERTS, CATALOG, CREDITS, JOURNAL, LEDGER, RATED, REJECTED, USAGE
from tests.simulation.log import Broker, Stored

Row = dict[str, Any]
Place = tuple[int, int]
_TOPICS = [CATALOG.name, CREDITS.name, USAGE.name]
_SOURCE = {JournalKind.CATALOG: 0, JournalKind.CREDITS: 1}


@dataclass
class Logs:
    """One partition: its raw records by source (catalog, credits, usage), and what they became.

    Rows of the journal have their `journal_offset` and `row`; `refused` is by (source, offset).
    `faults` says what is wrong with the frames themselves.
    """

    partition: int
    partitions: int
    raw: tuple[Sequence[Stored], Sequence[Stored], Sequence[Stored]]
    journal: list[Row] = field(default_factory=list)
    refused: dict[tuple[int, int], str] = field(default_factory=dict)
    rated: list[Row] = field(default_factory=list)
    ledger: list[Row] = field(default_factory=list)
    alerts: list[bytes] = field(default_factory=list)
    rejected: dict[tuple[int, int], bytes | None] = field(default_factory=dict)
    forwarded: list[bytes | None] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read(broker: Broker, partition: int, partitions: int) -> Logs:
    """All logs of one partition."""
    topics = broker.topics
    raw = (topics[CATALOG.name][0], topics[CREDITS.name][partition], topics[USAGE.name][partition])
    logs = Logs(partition, partitions, raw)
    _read_journal(logs, _values(topics[JOURNAL.name][partition]))
    logs.rated = _read_placed(logs, _values(topics[RATED.name][partition]), decode_rated)
    logs.ledger = _read_placed(logs, _values(topics[LEDGER.name][partition]), decode_ledger)
    logs.alerts = list(_values(topics[ALERTS.name][partition]))
    _read_sides(logs, broker)
    return logs


def _read_sides(logs: Logs, broker: Broker) -> None:
    """What was shown as rejected, by its place, and what was sent on to another partition."""
    for record in (stored for part in broker.topics[REJECTED.name] for stored in part):
        headers = dict(record.headers or [])
        topic = (headers["__connect.errors.topic"] or b"").decode()
        number = int(headers["__connect.errors.partition"] or b"")
        if topic in _TOPICS and number == (logs.partition if topic != CATALOG.name else 0):
            offset = int(headers["__connect.errors.offset"] or b"")
            logs.rejected[_TOPICS.index(topic), offset] = record.value
    for number, part in enumerate(broker.topics[USAGE.name]):
        if number != logs.partition:
            logs.forwarded += [
                stored.value
                for stored in part
                if any(name == "drawdown-forwarded" for name, _ in stored.headers or ())
            ]


def source_of(row: Row) -> int:
    """Which source a journal row is from: catalog 0, credits 1, usage (and ticks) 2."""
    return _SOURCE.get(JournalKind(row["kind"]), 2)


def _values(records: Sequence[Stored]) -> Iterator[bytes]:
    return (record.value or b"" for record in records)


def _read_journal(logs: Logs, frames: Iterator[bytes]) -> None:
    reached = [0, 0, 0]
    for offset, value in enumerate(frames):
        frame = decode_journal(value)
        after, upto = frame.header.after, frame.header.upto
        rows = [
            {**row, "journal_offset": offset, "row": place}
            for place, row in enumerate(frame.rows.iter_rows(named=True))
        ]
        said = [(source_of(row), row["offset"]) for row in rows]
        said += [(source, at) for source, at, _ in frame.header.refused]
        due = [(source, at) for source in range(3) for at in range(after[source], upto[source])]
        if sorted(said) != due:
            logs.faults.append(f"journal {offset}: {after} to {upto} holds {sorted(said)}")
        if any(need > have for need, have in zip(after, reached, strict=True)):
            continue
        logs.journal += [row for row in rows if row["offset"] >= reached[source_of(row)]]
        for source, at, reason in frame.header.refused:
            if at >= reached[source]:
                logs.refused[source, at] = reason
        reached = [max(have, to) for have, to in zip(reached, upto, strict=True)]
    ends = [len(records) for records in logs.raw]
    if reached != ends:
        logs.faults.append(f"the journal reaches {reached} of {ends}")


def _read_placed(logs: Logs, frames: Iterator[bytes], decode: Any) -> list[Row]:
    found: list[Row] = []
    reached: Vector = (0, 0, 0)
    for offset, value in enumerate(frames):
        frame = decode(value)
        after, upto = frame.header.after, frame.header.upto
        rows = list(frame.rows.iter_rows(named=True))
        places = [(row["journal_offset"], row["row"], row["ordinal"]) for row in rows]
        if places != sorted(set(places)) or any(not after <= at < upto for at in places):
            logs.faults.append(f"frame {offset}: {after} to {upto} holds {places}")
        if after > reached:
            continue
        found += [row for row, at in zip(rows, places, strict=True) if at >= reached]
        reached = max(reached, upto)
    return found
