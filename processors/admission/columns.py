"""Usage in its common form, examined in columns: what `Examiner.usage` says, many records at once.

Only what is surely accepted is taken here, and with the same values; all else is left to
`Examiner.usage`, which alone refuses. Each record is still decoded by itself (facts.md: joined ones
can swallow their neighbours); what is done in columns is checking and comparing.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import polars as pl

from processors.admission.examine import BAD_TIMESTAMP, Examiner, is_tick
from processors.admission.metered import SIGNED
from processors.admission.record import Records
from schemas.envelope import (
    DEPTH,
    MAX_ATTRIBUTE,
    NULL,
    Envelope,
    Headers,
    decode_envelope,
    instant,
    is_id,
    is_structured,
    is_utf8,
)
from schemas.frames import JOURNAL_SCHEMA, JournalKind
from schemas.partition import partition_of
from schemas.tables import filtered, stacked
from schemas.times import TimeError
from schemas.topics import MAX_INPUT_BYTES

_TO_SECOND: Final = len("2026-01-01T00:00:00")
_FRACTION: Final = r"^(\.[0-9]{1,6})?Z$"
_FRACTION_DIGITS: Final = 6
_SIGNED_TEXT: Final = SIGNED.pattern.decode()
_AT_ONCE: Final = 1_000
_UNREAD: Final = Envelope("", "", "", "", "", "")
"""Stands for what is left to `Examiner.usage`: no check lets it pass."""

_ENVELOPE: Final = pl.Schema(
    dict.fromkeys(
        ("specversion", "account", "source", "id", "type", "time", "contract"), pl.String()
    )
    | {"data": pl.Binary()}
)
_NULLS: Final = pl.Series([NULL], dtype=pl.Binary)


class Common(NamedTuple):
    """Accepted usage as journal rows, and the indices of records to be examined one by one.

    `at` is each row's index among the records; both are in order.
    """

    rows: pl.DataFrame
    at: pl.Series
    rest: list[int]


def common(examiner: Examiner, records: Records) -> Common:
    """Examine `records`, which follow what the examiner knows of the catalog."""
    rows = _decoded(records)
    rows = rows.with_columns_seq(
        pl.repeat(int(JournalKind.USAGE), len(records), dtype=pl.UInt8, eager=True).alias("kind"),
        pl.Series("offset", records.offsets, dtype=pl.Int64),
        pl.Series("received_at", records.received_at, dtype=pl.Int64),
        _instants(rows["time"]),
    )
    fine = _fine(examiner, rows)
    at = pl.Series("at", range(len(records)), dtype=pl.Int64)
    rows = rows.select_seq(JOURNAL_SCHEMA.names())
    if fine.all():
        return Common(rows, at, [])
    return Common(filtered(rows, fine), at.filter(fine), at.filter(~fine).to_list())


def _decoded(records: Records) -> pl.DataFrame:
    """The attributes of each record's envelope as msgspec reads it; all are empty where it cannot.

    A few records at a time: what Python makes of them is still in the processor's cache when it is
    laid in columns, which halves the time.
    """
    pieces = [pl.DataFrame(schema=_ENVELOPE)]
    for start in range(0, len(records), _AT_ONCE):
        values = [value or b"" for value in records.values[start : start + _AT_ONCE]]
        found: list[Envelope] = []
        for value in values:
            try:
                found.append(decode_envelope(value))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                found.append(_UNREAD)
        for index in _unusual(values, records.headers[start : start + _AT_ONCE]):
            found[index] = _UNREAD
        pieces.append(_columns(found))
    return stacked(pieces)


def _columns(found: Sequence[Envelope]) -> pl.DataFrame:
    data = pl.Series([bytes(each.data) or None for each in found], dtype=pl.Binary)
    return pl.DataFrame(
        {
            "specversion": [each.specversion for each in found],
            "account": [each.subject for each in found],
            "source": [each.source for each in found],
            "id": [each.id for each in found],
            "type": [each.type for each in found],
            "time": [each.time for each in found],
            "contract": [each.contract for each in found],
            "data": data.set(data == _NULLS, None),
        },
        schema=_ENVELOPE,
    )


def _unusual(values: Sequence[bytes], headers: Sequence[Headers | None]) -> Iterator[int]:
    """Which records' headers, size, characters or depth have to be looked at."""
    if any(headers):
        for index, named in enumerate(headers):
            if named and (is_tick(named) or not is_structured(named)):
                yield index
    if max(map(len, values), default=0) > MAX_INPUT_BYTES:
        yield from (i for i, value in enumerate(values) if len(value) > MAX_INPUT_BYTES)
    joined = b"".join(values)
    if not joined.isascii():
        yield from (i for i, v in enumerate(values) if not (v.isascii() or is_utf8(v)))
    for bracket in (b"{", b"["):
        if bracket in joined:
            counts = [value.count(bracket) for value in values]
            if max(counts) > DEPTH // 2:
                yield from (i for i, count in enumerate(counts) if count > DEPTH // 2)


def _instants(texts: pl.Series) -> pl.Series:
    """`envelope.instant` of each text, null where it needs a closer look."""
    seconds = texts.str.slice(0, _TO_SECOND)
    distinct = seconds.unique().sort()
    known = pl.Series(map(_second, distinct.to_list()), dtype=pl.Int64)
    begin = known.gather(distinct.search_sorted(seconds))
    rest = texts.str.slice(_TO_SECOND)
    digits = rest.str.strip_chars(".Z").str.pad_end(_FRACTION_DIGITS, "0")
    fraction = digits.cast(pl.Int64, strict=False)
    return (begin + fraction).set(~rest.str.contains(_FRACTION), None).alias("time")


def _second(text: str) -> int | None:
    try:
        return instant(f"{text}Z")
    except TimeError:
        return None


def _fine(examiner: Examiner, rows: pl.DataFrame) -> pl.Series:
    """Which rows pass every check of `decode_structured` and `Examiner.usage`, as a mask."""
    received_at, time = rows["received_at"], rows["time"]
    window = examiner.window
    fine = (
        (received_at != BAD_TIMESTAMP)
        & (time >= received_at - window.max_age)
        & (time <= received_at + window.max_lead)
        & rows["id"].str.len_chars().is_between(1, MAX_ATTRIBUTE)
    ).fill_null(value=False)

    def is_ours(account: str) -> bool:
        return is_id(account) and partition_of(account, examiner.partitions) == examiner.partition

    checks: dict[str, Callable[[str], bool]] = {
        "specversion": "1.0".__eq__,
        "account": is_ours,
        "source": _is_attribute,
        "type": _is_attribute,
        "contract": is_id,
    }
    texts = {name: rows[name].drop_nulls().unique().to_list() for name in checks}
    for name, is_fine in checks.items():
        bad = [text for text in texts[name] if not is_fine(text)]
        if bad:
            fine &= ~rows[name].is_in(bad).fill_null(value=False)
    if examiner.metered.meters(texts["type"]):
        fine &= ~rows["data"].cast(pl.String).str.contains(_SIGNED_TEXT).fill_null(value=False)
    return fine


def _is_attribute(text: str) -> bool:
    return 0 < len(text) <= MAX_ATTRIBUTE
