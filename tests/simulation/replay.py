"""I4, I5, I7: one worker that folds the whole log in one go, undisturbed, has the same results.

These three say that the pipeline agrees with itself: the stages' own folds are run again. Whether
what they agree on is right is the auditor's to say.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import polars as pl

from processors.rating.stage import RATING
from projections.balances.books import accounts_in
from projections.balances.row import check_conservation
from projections.balances.stage import BALANCES
from projections.fold.kind import StageKind
from projections.fold.outbox import Output
from projections.fold.position import ZERO, JournalReader, OutputReader, Position
from projections.fold.stage import Record
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
from schemas.topics import ALERTS, JOURNAL, LEDGER, RATED, Topic
from tests.simulation.log import Broker
from tests.simulation.processes import PREFIX
from tests.simulation.redis import State

_ROWS: Final = "rows"
_PLACE: Final = ("journal_offset", "row", "ordinal")


def replayed(broker: Broker, state: State, number: int) -> Iterator[str]:
    """What differs in one partition from folding its journal again, from zero.

    And then (I7): without its ticks, but for one at the end, the journal gives the same, later.
    """
    journal = list(enumerate(_values(broker, JOURNAL.name, number)))
    rating, balances = _Undisturbed(RATING, number), _Undisturbed(BALANCES, number)
    rating.fold(journal)
    balances.fold(enumerate(rating.wrote(RATED)))
    for stage in (rating, balances):
        yield from _differ(f"{stage.name} rows", stage.rows, _rows(state, stage.name, number))
    for found, topic, decode in ((rating, RATED, decode_rated), (balances, LEDGER, decode_ledger)):
        written = _values(broker, topic.name, number)
        yield from _differ(topic.name, _read(found.wrote(topic), decode), _read(written, decode))
    yield from _differ(
        "alerts", set(balances.wrote(ALERTS)), set(_values(broker, ALERTS.name, number))
    )
    for account, row in accounts_in(balances.rows).items():
        yield from (f"I3: {fault}" for fault in check_conservation(account, row.grants))
    if (frames := _tickless([value for _, value in journal])) is not None:
        tick, tickless = frames
        rating.fold([(len(journal), tick)])
        balances.fold(list(enumerate(rating.wrote(RATED)))[balances.folded :])
        again, later = _Undisturbed(RATING, number), _Undisturbed(BALANCES, number)
        again.fold([(0, tickless)])
        later.fold(enumerate(again.wrote(RATED)))
        for name, told in (("postings", _postings), ("alerts", _alerts)):
            yield from _differ(f"{name}, without ticks,", told(balances), told(later), "I7")


def _tickless(journal: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Frames of one last tick a day later, and of the whole journal with no tick but that one."""
    reader = JournalReader()
    parts = [
        part for at, value in enumerate(journal) if (part := reader.feed(at, value)) is not None
    ]
    if not parts:
        return None
    rows = pl.concat(parts).select(JOURNAL_SCHEMA.names())
    catalog, credits_, usage = reader.vector
    last = {"kind": int(JournalKind.TICK), "offset": usage}
    last["received_at"] = int(rows.get_column("received_at").max()) + DAY  # type: ignore[arg-type]
    end = pl.DataFrame([last], schema=JOURNAL_SCHEMA)
    upto = (catalog, credits_, usage + 1)
    without = rows.filter(pl.col("kind") != int(JournalKind.TICK))
    return (
        encode(FrameKind.JOURNAL, JournalHeader(reader.vector, upto, []), end),
        encode(FrameKind.JOURNAL, JournalHeader(ZERO, upto, []), pl.concat([without, end])),
    )


class _Undisturbed:
    """One stage in one partition, alone, with a store of its own."""

    def __init__(self, kind: StageKind, number: int) -> None:
        self.name = kind.name
        self.folded = 0
        self._outputs: list[Output] = []
        self._reader = MemoryReader()
        self._fold = kind.make_fold(number, Position(), self._reader)

    def fold(self, records: Iterable[Record]) -> None:
        """Fold them in one go."""
        if due := list(records):
            self._outputs += self._fold.apply(due)
            self._reader.commit(self._fold.take_changes())
            self.folded += len(due)

    def wrote(self, topic: Topic) -> list[bytes]:
        """The values that it wrote to a topic."""
        return [output.value for output in self._outputs if output.topic is topic]

    @property
    def rows(self) -> dict[str, bytes]:
        """What it keeps."""
        return self._reader.rows


def _postings(balances: _Undisturbed) -> list[tuple[Any, ...]]:
    """By account, in order, without positions."""
    rows = _read(balances.wrote(LEDGER), decode_ledger)
    found = [tuple(row[name] for name in row if name not in _PLACE) for row in rows]
    return sorted(found, key=lambda row: str(row[1]))


def _alerts(balances: _Undisturbed) -> list[tuple[Any, ...]]:
    found = []
    for value in balances.wrote(ALERTS):
        event = json.loads(value)
        del event["data"]["position"]
        found.append((event["subject"], event["type"], str(event["data"])))
    return sorted(found, key=lambda alert: alert[0])


def _rows(state: State, stage: str, number: int) -> dict[str, bytes]:
    held = state.held.get(f"{PREFIX}:{{{number}}}:{stage}:1:{_ROWS}", {})
    return {key.decode(): value for key, value in held.items()}


def _values(broker: Broker, topic: str, number: int) -> list[bytes]:
    return [stored.value or b"" for stored in broker.partition((topic, number))]


def _read(values: Sequence[bytes], decode: Any) -> list[dict[str, Any]]:
    reader = OutputReader(decode)
    parts = [part for value in values if (part := reader.feed(value)) is not None]
    return pl.concat(parts).to_dicts() if parts else []


def _differ(name: str, expected: Any, found: Any, what: str = "I4") -> Iterator[str]:
    if expected != found:
        yield f"{what}: {name} differ: {_difference(expected, found)}"


def _difference(expected: Any, found: Any) -> str:
    if isinstance(expected, list):
        pairs = [pair for pair in zip(expected, found, strict=False) if pair[0] != pair[1]]
        return f"{len(expected)} expected, {len(found)} found; first {pairs[:1]}"
    if isinstance(expected, set):
        return f"missing {sorted(expected - found)[:3]}, more {sorted(found - expected)[:3]}"
    keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
    return f"of {sorted(keys)[:5]}"
