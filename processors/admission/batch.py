"""A stretch of one partition's records: examined in merged order, its keys claimed. Pure.

What decides lies here and in `examine`; `worker` and `writer` only carry messages in and frames
out. A stretch becomes one frame; where the log is cut into stretches changes no result (I5).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, NamedTuple

import polars as pl

from processors.admission.buffer import Buffer
from processors.admission.claims import CLAIMED, DUPLICATE, generations, pack
from processors.admission.columns import common
from processors.admission.examine import Document, Examiner, Outcome, Tick
from processors.admission.fingerprint import (
    FEW,
    content_digest,
    content_digests,
    key_digest,
    key_digests,
)
from processors.admission.merge import Run
from processors.admission.record import RawRecord, Records
from schemas.envelope import Usage
from schemas.frames import JOURNAL_SCHEMA, JournalKind, Source, Vector
from schemas.reasons import Reason, Refusal
from schemas.tables import filtered, stacked

MOST_RECORDS: Final = 8_192
MOST_BYTES: Final = 3_000_000
"""A stretch is cut before the record that would pass either; one record may be larger alone."""

PLACED_SCHEMA: Final = pl.Schema({"at": pl.Int64(), **JOURNAL_SCHEMA})
"""Journal rows, and the place of each among the records of its stretch."""

_REPEAT: Final = Refusal(
    Reason.DUPLICATE, "the same account, source and id came before with this content", None
)
_CONFLICT: Final = Refusal(
    Reason.CONFLICT, "the same account, source and id came before with other content", None
)
_DOCUMENT_KIND: Final = {
    Source.CREDITS: int(JournalKind.CREDITS),
    Source.CATALOG: int(JournalKind.CATALOG),
}

_Text = str | None
_Row = tuple[int, int, int, int, _Text, _Text, _Text, _Text, int | None, _Text, bytes | None]


class Refused(NamedTuple):
    """A record that the journal does not carry, and its place among those of its stretch."""

    at: int
    source: Source
    record: RawRecord
    why: Refusal


class Claim(NamedTuple):
    """Keys to claim in one call: usage offsets `start` to `stop`, all in one generation.

    `items` (see `claims.pack`) are those of the next usage rows, in their order.
    """

    start: int
    stop: int
    generation: int
    items: list[bytes]


class Sought(NamedTuple):
    """A backfill's key, to be looked for among the claims of usage before it.

    `generation` is that of the usage clock there, `item` (see `claims.pack`) has the next usage
    offset.
    """

    at: int
    record: RawRecord
    generation: int
    item: bytes


@dataclass(slots=True)
class Stretch:
    """Examined records. `after` and `upto` are the source vectors before and behind them.

    `clock` is the usage clock behind them. `usage` are the events that are accepted unless a claim
    refuses them, `others` the ticks and documents; both are rows of PLACED_SCHEMA. `sought` are the
    backfills among the documents.
    """

    after: Vector
    upto: Vector
    clock: int
    usage: pl.DataFrame
    others: list[_Row]
    refused: list[Refused]
    claims: list[Claim] = field(default_factory=list)
    sought: list[Sought] = field(default_factory=list)


def cut(runs: Sequence[Run], buffers: Sequence[Buffer]) -> Iterator[list[Run]]:
    """`runs` cut into those of one stretch each, in order; `buffers` are indexed by Source."""
    piece: list[Run] = []
    count = size = 0
    for source, start, stop in runs:
        at = start
        while at < stop:
            values = buffers[source].records.values[at : min(stop, at + MOST_RECORDS - count)]
            fits, weight = _fitting(values, MOST_BYTES - size, alone=not piece)
            if fits:
                piece.append(Run(source, at, at + fits))
                at, count, size = at + fits, count + fits, size + weight
            if at < stop:
                yield piece
                piece, count, size = [], 0, 0
    if piece:
        yield piece


def _fitting(values: Sequence[bytes | None], room: int, *, alone: bool) -> tuple[int, int]:
    """How many of `values` fit into `room` bytes, at least one where it would be alone."""
    sizes = [len(value or b"") for value in values]
    total = sum(sizes)
    if total <= room:
        return len(sizes), total
    sums = [*accumulate(sizes)]
    fits = bisect_left(sums, room + 1)
    if fits == 0 and alone:
        fits = 1
    return fits, sums[fits - 1] if fits else 0


def examined(
    examiner: Examiner,
    runs: Sequence[Run],
    buffers: Sequence[Buffer],
    after: Vector,
    clock: int,
    width: int,
) -> Stretch:
    """Examine the records of `runs`, which follow `after` and `clock`; `width` as in `Claims`."""
    stretch = Stretch(after, after, clock, pl.DataFrame(schema=PLACED_SCHEMA), [], [])
    upto, at, now = list(after), 0, clock
    waiting: list[tuple[int, Run]] = []
    for run in runs:
        records = buffers[run.source].records
        if run.source is Source.USAGE:
            waiting.append((at, run))
            now = max(now, buffers[run.source].times[run.stop - 1])  # times never fall
        else:
            if run.source is Source.CATALOG:  # usage is measured by the catalog before it
                _examine_usage(stretch, examiner, buffers[Source.USAGE].records, waiting)
                waiting = []
            examine = examiner.catalog if run.source is Source.CATALOG else examiner.credits
            for index in range(run.start, run.stop):
                record, place = records[index], at + index - run.start
                outcome = examine(record)
                _put(stretch, place, run.source, record, outcome)
                if type(outcome) is Document and outcome.usage is not None:
                    item = _item(outcome.usage, upto[Source.USAGE])
                    stretch.sought.append(Sought(place, record, now // width, item))
        upto[run.source] = records.offsets[run.stop - 1] + 1
        at += run.stop - run.start
    _examine_usage(stretch, examiner, buffers[Source.USAGE].records, waiting)
    stretch.upto = (upto[0], upto[1], upto[2])
    _ask(stretch, [run for run in runs if run.source is Source.USAGE], buffers[Source.USAGE], width)
    return stretch


def _item(usage: Usage, before: int) -> bytes:
    key = key_digest(usage.account, usage.source, usage.id)
    return pack(key, before, content_digest(usage.type, usage.data, usage.contract))


def _examine_usage(
    stretch: Stretch, examiner: Examiner, records: Records, waiting: Sequence[tuple[int, Run]]
) -> None:
    if not waiting:
        return
    chosen, places = Records(), list[int]()
    for at, (_, start, stop) in waiting:
        chosen.extend(records.take(start, stop))
        places.extend(range(at, at + stop - start))
    found, slowly = [stretch.usage], list[_Row]()
    rest: Sequence[int] = range(len(chosen))
    if len(chosen) > FEW:
        rows, indices, rest = common(examiner, chosen)
        at_of = pl.Series("at", places, dtype=pl.Int64)
        found.append(rows.insert_column(0, at_of.gather(indices) if rest else at_of))
    for index in rest:
        record = chosen[index]
        outcome = examiner.usage(record)
        if type(outcome) is Usage:
            slowly.append(_usage_row(places[index], record, outcome))
        else:
            _put(stretch, places[index], Source.USAGE, record, outcome)
    if slowly:
        found.append(placed(slowly))
    stretch.usage = stacked(found)
    if slowly and len(slowly) < stretch.usage.height:
        stretch.usage = stretch.usage.sort("at")


def _usage_row(at: int, record: RawRecord, event: Usage) -> _Row:
    kind = int(JournalKind.USAGE)
    attributes = (event.account, event.source, event.id, event.type, event.time, event.contract)
    return at, kind, record.offset, record.received_at, *attributes, event.data


def _put(stretch: Stretch, at: int, source: Source, record: RawRecord, outcome: Outcome) -> None:
    if type(outcome) is Refusal:
        stretch.refused.append(Refused(at, source, record, outcome))
        return
    place = (record.offset, record.received_at)
    if type(outcome) is Tick:
        row: _Row = (at, int(JournalKind.TICK), *place, *(None,) * 7)
    else:
        assert not isinstance(outcome, Usage | Tick | Refusal)
        row = (at, _DOCUMENT_KIND[source], *place, outcome.account, *(None,) * 5, outcome.data)
    stretch.others.append(row)


def placed(rows: list[_Row]) -> pl.DataFrame:
    """Rows, at least one, as columns of PLACED_SCHEMA."""
    columns = zip(*rows, strict=True)
    return pl.DataFrame(
        [
            pl.Series(name, list(column), dtype=kind, strict=True)
            for (name, kind), column in zip(PLACED_SCHEMA.items(), columns, strict=True)
        ]
    )


def _ask(stretch: Stretch, runs: Sequence[Run], buffer: Buffer, width: int) -> None:
    """The claims to ask for: they cover refused usage and ticks too, `through` passes them all."""
    if not runs:
        return
    clocks = [max(stretch.clock, at) for _, a, b in runs for at in buffer.times[a:b]]
    offsets = [offset for _, a, b in runs for offset in buffer.records.offsets[a:b]]
    stretch.clock = clocks[-1]
    rows = stretch.usage
    items = [*map(pack, key_digests(rows), rows["offset"].to_list(), content_digests(rows))]
    start, first = stretch.after[Source.USAGE], 0
    for generation, _, stop in generations(clocks, width):
        end = offsets[stop - 1] + 1
        last = int(rows["offset"].search_sorted(end))
        stretch.claims.append(Claim(start, end, generation, items[first:last]))
        start, first = end, last


def settle(stretch: Stretch, answers: Sequence[bytes], usage: Buffer) -> None:
    """Refuse what the answers to `stretch.claims` say is not its own; `usage` holds it still."""
    answer = b"".join(answers)
    assert len(answer) == stretch.usage.height, (len(answer), stretch.usage.height)
    if answer.count(CLAIMED) == len(answer):
        return
    mine = pl.Series(list(answer), dtype=pl.UInt8) == CLAIMED
    others = filtered(stretch.usage.select_seq("at", "offset"), ~mine).rows()
    codes = (code for code in answer if code != CLAIMED)
    for (at, offset), code in zip(others, codes, strict=True):
        record = usage.records[bisect_left(usage.records.offsets, offset)]
        stretch.refused.append(Refused(at, Source.USAGE, record, _why(code)))
    stretch.usage = filtered(stretch.usage, mine)


def settle_backfills(stretch: Stretch, answers: bytes) -> None:
    """Refuse the backfills of `stretch.sought` whose key the answers say usage has claimed."""
    refused = {}
    for sought, code in zip(stretch.sought, answers, strict=True):
        if code != CLAIMED:
            refused[sought.at] = Refused(sought.at, Source.CREDITS, sought.record, _why(code))
    stretch.refused.extend(refused.values())
    stretch.others = [row for row in stretch.others if row[0] not in refused]


def _why(code: int) -> Refusal:
    return _REPEAT if code == DUPLICATE else _CONFLICT
