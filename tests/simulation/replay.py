"""I4 and I5: one worker that folds the whole log in one go, undisturbed, has the same results."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl

from processors.rating.stage import RATING
from projections.balances.books import accounts_in
from projections.balances.row import check_conservation
from projections.balances.stage import BALANCES
from projections.fold.outbox import Output
from projections.fold.position import ZERO, JournalReader, OutputReader, Position
from projections.fold.stage import Record
from projections.fold.worker import StageKind
from projections.rows import MemoryReader
from schemas.frames import (
    JOURNAL_SCHEMA,
    FrameKind,
    JournalHeader,
    JournalKind,
    decode_ledger,
    decode_rated,
    encode,
)
from schemas.times import DAY
from schemas.topics import ALERTS, JOURNAL, LEDGER, RATED
from tests.simulation.log import Broker
from tests.simulation.processes import PREFIX
from tests.simulation.redis import State

_ROWS: Final = "rows"
_PLACE: Final = ("journal_offset", "row", "ordinal")


def replayed(broker: Broker, state: State, number: int) -> Iterator[str]:
    """What differs in one partition from folding its journal again, from zero."""
    journal = [
        (at, stored.value or b"")
        for at, stored in enumerate(broker.partition((JOURNAL.name, number)))
    ]
    outputs, rows = _folded(RATING, number, journal)
    yield from _differ("rating rows", rows, _rows(state, RATING, number))
    rated = [output.value for output in outputs if output.topic is RATED]
    written = _values(broker, RATED.name, number)
    yield from _differ("rated", _read(rated, decode_rated), _read(written, decode_rated))
    outputs, rows = _folded(BALANCES, number, list(enumerate(rated)))
    yield from _differ("balance rows", rows, _rows(state, BALANCES, number))
    ledger = [output.value for output in outputs if output.topic is LEDGER]
    written = _values(broker, LEDGER.name, number)
    yield from _differ("ledger", _read(ledger, decode_ledger), _read(written, decode_ledger))
    alerts = {output.value for output in outputs if output.topic is ALERTS}
    yield from _differ("alerts", alerts, set(_values(broker, ALERTS.name, number)))
    for account, row in accounts_in(rows).items():
        yield from (f"I3: {fault}" for fault in check_conservation(account, row.grants))


def tickless(broker: Broker, number: int) -> Iterator[str]:
    """I7: without its ticks, but for one at the end, the journal gives the same, later."""
    reader = JournalReader()
    values = enumerate(_values(broker, JOURNAL.name, number))
    parts = [part for at, value in values if (part := reader.feed(at, value)) is not None]
    if not parts:
        return
    rows = pl.concat(parts).select(JOURNAL_SCHEMA.names())
    last = {"kind": int(JournalKind.TICK), "offset": reader.vector[2]}
    last["received_at"] = int(rows.get_column("received_at").max()) + DAY  # type: ignore[arg-type]
    end = pl.DataFrame([last], schema=JOURNAL_SCHEMA)
    told = []
    for kept in (rows, rows.filter(pl.col("kind") != int(JournalKind.TICK))):
        header = JournalHeader(ZERO, reader.vector, [])
        frame = encode(FrameKind.JOURNAL, header, pl.concat([kept, end]))
        rated, _ = _folded(RATING, number, [(0, frame)])
        values = enumerate(output.value for output in rated if output.topic is RATED)
        outputs, _ = _folded(BALANCES, number, list(values))
        told.append((_postings(outputs), _alerts(outputs)))
    with_ticks, without = told
    yield from _differ("postings, without ticks,", with_ticks[0], without[0])
    yield from _differ("alerts, without ticks,", with_ticks[1], without[1])


def _postings(outputs: Sequence[Output]) -> list[tuple[Any, ...]]:
    """By account, in order, without positions."""
    rows = _read([output.value for output in outputs if output.topic is LEDGER], decode_ledger)
    found = [tuple(row[name] for name in row if name not in _PLACE) for row in rows]
    return sorted(found, key=lambda row: str(row[1]))


def _alerts(outputs: Sequence[Output]) -> list[tuple[Any, ...]]:
    found = []
    for output in outputs:
        if output.topic is ALERTS:
            event = json.loads(output.value)
            del event["data"]["position"]
            found.append((event["subject"], event["type"], str(event["data"])))
    return sorted(found, key=lambda alert: alert[0])


def _folded(
    kind: StageKind, number: int, records: Sequence[Record]
) -> tuple[list[Output], dict[str, bytes]]:
    reader = MemoryReader()
    fold = kind.make_fold(number, Position(), reader)
    outputs = fold.apply(records) if records else []
    reader.commit(fold.take_changes())
    return outputs, reader.rows


def _rows(state: State, kind: StageKind, number: int) -> dict[str, bytes]:
    held = state.held.get(f"{PREFIX}:{{{number}}}:{kind.name}:1:{_ROWS}", {})
    return {key.decode(): value for key, value in held.items()}


def _values(broker: Broker, topic: str, number: int) -> list[bytes]:
    return [stored.value or b"" for stored in broker.partition((topic, number))]


def _read(values: Sequence[bytes], decode: Any) -> list[dict[str, Any]]:
    reader = OutputReader(decode)
    parts = [part for value in values if (part := reader.feed(value)) is not None]
    return pl.concat(parts).to_dicts() if parts else []


def _differ(name: str, expected: Any, found: Any) -> Iterator[str]:
    if expected != found:
        yield f"I4: {name} differ: {_difference(expected, found)}"


def _difference(expected: Any, found: Any) -> str:
    if isinstance(expected, list):
        pairs = [pair for pair in zip(expected, found, strict=False) if pair[0] != pair[1]]
        return f"{len(expected)} expected, {len(found)} found; first {pairs[:1]}"
    if isinstance(expected, set):
        return f"missing {sorted(expected - found)[:3]}, more {sorted(found - expected)[:3]}"
    keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
    return f"of {sorted(keys)[:5]}"
