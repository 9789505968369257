"""I1, first half: every raw record that was acknowledged has exactly one outcome in the journal.

The raw topics are read again and each record is decoded again: an accepted event must stand in the
journal with its own content, and a record refused for what it is must be refused again for the
same reason. Duplicates and conflicts are handed to `deploy.reading.keys`: what do they repeat?
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

import polars as pl

from deploy.reading.evidence import RAW_TOPICS, Evidence, RawLog
from deploy.reading.report import Invariant
from processors.admission.metered import meters_of, negative
from projections.fold.log import Read
from schemas.documents import Meter, parse_document
from schemas.envelope import Usage, decode_event
from schemas.frames import JournalKind, Source
from schemas.reasons import Reason, Refusal

_SOURCE_OF: Final = {
    int(JournalKind.USAGE): Source.USAGE,
    int(JournalKind.TICK): Source.USAGE,
    int(JournalKind.CREDITS): Source.CREDITS,
    int(JournalKind.CATALOG): Source.CATALOG,
}
_KIND_NAMES: Final = {
    JournalKind.USAGE: "accepted",
    JournalKind.TICK: "ticks",
    JournalKind.CREDITS: "documents",
    JournalKind.CATALOG: "catalog_documents",
}
_BY_CONTENT: Final = frozenset(
    {
        Reason.TOO_LARGE,
        Reason.NOT_UTF8,
        Reason.MALFORMED_JSON,
        Reason.TOO_DEEP,
        Reason.INVALID_ENVELOPE,
        Reason.UNSUPPORTED,
    }
)
_CONTENT: Final = ("received_at", *Usage.__struct_fields__)
_REPEATS: Final = frozenset({Reason.DUPLICATE, Reason.CONFLICT})


class Repeat(NamedTuple):
    """A usage record that was refused because its key was claimed before."""

    offset: int
    reason: str
    event: Usage


Accepted = dict[int, tuple[object, ...]]


def check_outcomes(evidence: Evidence, found: Invariant) -> list[Repeat]:
    """Check all three sources; gives the repeats that the raw log still holds."""
    repeats: list[Repeat] = []
    for problem in (*evidence.journal.problems, *evidence.replaced):
        found.differ(problem)
    kinds = evidence.journal.rows.get_column("kind").value_counts()
    found.count(**{_KIND_NAMES[JournalKind(kind)]: count for kind, count in kinds.iter_rows()})
    found.count(**Counter(reason for _, _, reason in evidence.journal.refused))
    for source in Source:
        repeats.extend(_check_source(evidence, source, found))
    return repeats


def _check_source(evidence: Evidence, source: Source, found: Invariant) -> Iterator[Repeat]:
    where = f"{RAW_TOPICS[source].name} [{evidence.partition}]"
    accepted = _accepted(evidence.journal.rows, source)
    refused = {at: reason for of, at, reason in evidence.journal.refused if of == source}
    _check_once(evidence, source, where, found)
    raw, acknowledged = evidence.raw[source], evidence.acknowledged[source]
    if acknowledged > evidence.journal.vector[source]:
        reached = evidence.journal.vector[source]
        found.differ(f"{where}: acknowledged to {acknowledged}, the journal reaches {reached}")
    _note_cut(raw, where, found)
    meters = _meters(evidence.journal.rows)
    seen = set()
    for record in raw.records():
        offset = record[0]
        seen.add(offset)
        if offset in accepted:
            if (wrong := _wrongly_accepted(source, record, accepted[offset])) is not None:
                found.differ(f"{where} offset {offset}: {wrong}")
        elif offset in refused:
            yield from _check_refused(source, record, refused[offset], where, found)
            if refused[offset] == Reason.NEGATIVE_QUANTITY:
                _check_negative(record, meters, where, found)
        elif offset < acknowledged:
            found.differ(f"{where} offset {offset}: no outcome in the journal")
    found.count(**{f"raw_{source.name.lower()}": len(seen)})
    for offset in sorted(accepted.keys() | refused.keys()):
        if offset >= raw.low and offset not in seen:
            found.differ(f"{where} offset {offset}: has an outcome, but the log does not hold it")


def _note_cut(raw: RawLog, where: str, found: Invariant) -> None:
    if raw.low:
        found.note(f"{where} now begins at {raw.low}: what stood before was compared with nothing")


def _check_once(evidence: Evidence, source: Source, where: str, found: Invariant) -> None:
    """The journal alone: no offset has two outcomes."""
    kinds = [kind for kind, of in _SOURCE_OF.items() if of is source]
    rows = evidence.journal.rows.filter(pl.col("kind").is_in(kinds)).get_column("offset").to_list()
    rows.extend(at for of, at, _ in evidence.journal.refused if of == source)
    if len(set(rows)) != len(rows):
        for offset, count in Counter(rows).items():
            if count > 1:
                found.differ(f"{where} offset {offset}: {count} outcomes in the journal")


def _accepted(rows: pl.DataFrame, source: Source) -> Accepted:
    kinds = [kind for kind, of in _SOURCE_OF.items() if of is source]
    chosen = rows.filter(pl.col("kind").is_in(kinds)).select("offset", "kind", *_CONTENT)
    return {row[0]: row[1:] for row in chosen.iter_rows()}


def _wrongly_accepted(source: Source, record: Read, row: tuple[object, ...]) -> str | None:
    """What of the journal's row is not the record's; None when it is the same."""
    _, stamp, value, _, headers = record
    kind, received_at, *content, data = row
    if received_at != stamp * 1_000:
        return f"received at {received_at} in the journal, {stamp * 1_000} in the log"
    if kind == JournalKind.TICK:
        return None
    if source is not Source.USAGE:
        return None if data == value else "the journal holds other bytes"
    event = decode_event(value, headers)
    if not isinstance(event, Usage):
        return f"accepted, but it is {event.reason}: {event.detail}"
    same = [getattr(event, name) for name in Usage.__struct_fields__] == [*content, data]
    return None if same else "the journal holds another event"


def _check_refused(
    source: Source, record: Read, reason: str, where: str, found: Invariant
) -> Iterator[Repeat]:
    if source is not Source.USAGE:
        return
    offset, _, value, _, headers = record
    event = decode_event(value, headers)
    if reason in _REPEATS:
        if isinstance(event, Usage):
            yield Repeat(offset, reason, event)
        else:
            found.differ(f"{where} offset {offset}: {reason}, but it is {event.reason}")
    elif reason in _BY_CONTENT:
        again = event.reason if isinstance(event, Refusal) else "well-formed"
        if again != reason:
            found.differ(f"{where} offset {offset}: refused as {reason}, but it is {again}")


def _meters(rows: pl.DataFrame) -> dict[str, list[Meter]]:
    """What any product that ever stood in the journal meters, with each filter that it had."""
    documents = rows.filter(pl.col("kind") == int(JournalKind.CATALOG)).get_column("data")
    return meters_of(map(parse_document, documents))


def _check_negative(
    record: Read, meters: dict[str, list[Meter]], where: str, found: Invariant
) -> None:
    offset, _, value, _, headers = record
    event = decode_event(value, headers)
    if not isinstance(event, Usage):
        found.differ(f"{where} offset {offset}: negative_quantity, but it is {event.reason}")
    elif negative(event.data, meters.get(event.type, [])) is None:
        found.differ(f"{where} offset {offset}: negative_quantity, but no metered value is")
