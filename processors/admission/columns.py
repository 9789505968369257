"""Usage in its common form, examined in columns: what `Examiner.usage` says, many records at once.

Only what is surely accepted is taken here, and with the same values; all else is left to
`Examiner.usage`, which alone refuses. Each record is still decoded by itself (facts.md: joined ones
can swallow their neighbours); what is done in columns is checking and comparing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import Final, NamedTuple

import msgspec
import polars as pl

from processors.admission.envelope import (
    DEPTH,
    MAX_ATTRIBUTE,
    NULL,
    Envelope,
    decode_envelope,
    instant,
    is_id,
    is_structured,
    is_utf8,
)
from processors.admission.examine import BAD_TIMESTAMP, Examiner, is_tick
from processors.admission.metered import SIGNED
from processors.admission.record import Records
from schemas.frames import JournalKind
from schemas.partition import partition_of
from schemas.times import TimeError
from schemas.topics import MAX_INPUT_BYTES

_TO_SECOND: Final = len("2026-01-01T00:00:00")
_FRACTION: Final = r"^(\.[0-9]{1,6})?Z$"
_FRACTION_DIGITS: Final = 6
_SIGNED_TEXT: Final = SIGNED.pattern.decode()
_UNREAD: Final = Envelope("", "", "", "", "", "")
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
    found, odd = _decoded(records)
    places = [records.offsets, records.received_at, list(range(len(records)))]
    if odd:
        plain = [index not in odd for index in range(len(records))]
        found = list(compress(found, plain))
        places = [list(compress(column, plain)) for column in places]
    offset, received_at, at = (pl.Series(column, dtype=pl.Int64) for column in places)
    words: dict[str, list[str] | list[str | None]] = {
        "account": [each.subject for each in found],
        "source": [each.source for each in found],
        "id": [each.id for each in found],
        "type": [each.type for each in found],
        "time": [each.time for each in found],
        "contract": [each.contract for each in found],
    }
    texts = {name: pl.Series(name, column, dtype=pl.String) for name, column in words.items()}
    data = pl.Series("data", [bytes(each.data) or None for each in found], dtype=pl.Binary)
    rows = pl.DataFrame(
        [
            pl.repeat(int(JournalKind.USAGE), len(found), dtype=pl.UInt8, eager=True).alias("kind"),
            offset.alias("offset"),
            received_at.alias("received_at"),
            *(texts | {"time": _instants(texts["time"])}).values(),
            data.set(data == _NULLS, None),
        ]
    )
    fine = _fine(examiner, rows, words)
    if {each.specversion for each in found} - {"1.0"}:
        fine &= pl.Series([each.specversion == "1.0" for each in found], dtype=pl.Boolean)
    if not fine.all():
        odd.update(at.filter(~fine).to_list())
        rows, at = rows.filter(fine), at.filter(fine)
    return Common(rows, at, sorted(odd))


def _decoded(records: Records) -> tuple[list[Envelope], set[int]]:
    """Each record's envelope as msgspec reads it, and those to be examined one by one.

    In place of an envelope that cannot be read stands an empty one.
    """
    values = [value or b"" for value in records.values]
    found: list[Envelope] = []
    odd: set[int] = set()
    for value in values:
        try:
            found.append(decode_envelope(value))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            odd.add(len(found))
            found.append(_UNREAD)
    odd.update(_unusual(values))
    if any(records.headers):
        for index, headers in enumerate(records.headers):
            if headers and (is_tick(headers) or not is_structured(headers)):
                odd.add(index)
    return found, odd


def _unusual(values: Sequence[bytes]) -> Iterable[int]:
    """Records whose size, characters or depth have to be looked at."""
    joined = b"".join(values)
    if max(map(len, values), default=0) > MAX_INPUT_BYTES:
        yield from (i for i, value in enumerate(values) if len(value) > MAX_INPUT_BYTES)
    if not joined.isascii():
        yield from (i for i, v in enumerate(values) if not (v.isascii() or is_utf8(v)))
    for bracket in (b"{", b"["):
        if bracket in joined:
            yield from (i for i, v in enumerate(values) if v.count(bracket) > DEPTH // 2)


def _instants(texts: pl.Series) -> pl.Series:
    """`envelope.instant` of each text, null where it needs a closer look."""
    seconds = texts.str.slice(0, _TO_SECOND)
    known = {text: _second(text) for text in seconds.unique().to_list()}
    if not known:  # an empty mapping has no type
        return pl.Series("time", [], dtype=pl.Int64)
    begin = seconds.replace_strict(list(known), list(known.values()), return_dtype=pl.Int64)
    rest = texts.str.slice(_TO_SECOND)
    digits = rest.str.strip_chars(".Z").str.pad_end(_FRACTION_DIGITS, "0")
    fraction = digits.cast(pl.Int64, strict=False)
    return (begin + fraction).set(~rest.str.contains(_FRACTION), None).alias("time")


def _second(text: str) -> int | None:
    try:
        return instant(f"{text}Z")
    except TimeError:
        return None


def _fine(
    examiner: Examiner, rows: pl.DataFrame, words: Mapping[str, list[str] | list[str | None]]
) -> pl.Series:
    """Which rows pass every check of `decode_structured` and `Examiner.usage`, as a mask.

    `words` are the columns of texts once more, for what is best asked once for each text.
    """
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
        "account": is_ours,
        "source": _is_attribute,
        "type": _is_attribute,
        "contract": is_id,
    }
    for name, is_fine in checks.items():
        bad = [text for text in set(words[name]) if text is not None and not is_fine(text)]
        if bad:
            fine &= ~rows[name].is_in(bad).fill_null(value=False)
    if examiner.metered.meters(words["type"]):
        fine &= ~rows["data"].cast(pl.String).str.contains(_SIGNED_TEXT).fill_null(value=False)
    return fine


def _is_attribute(text: str) -> bool:
    return 0 < len(text) <= MAX_ATTRIBUTE
