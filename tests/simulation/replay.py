"""I4 and I5: one worker that folds the whole log in one go, undisturbed, has the same results."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl

from processors.rating.stage import RATING
from projections.balances.books import accounts_in
from projections.balances.row import check_conservation
from projections.balances.stage import BALANCES
from projections.fold.outbox import Output
from projections.fold.position import OutputReader, Position
from projections.fold.stage import Record
from projections.fold.worker import StageKind
from projections.rows import MemoryReader
from schemas.frames import decode_ledger, decode_rated
from schemas.topics import ALERTS, JOURNAL, LEDGER, RATED
from tests.simulation.log import Broker
from tests.simulation.processes import PREFIX
from tests.simulation.redis import State

_ROWS: Final = "rows"


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

