"""Frames: what one record of `journal`, `rated` and `ledger` holds.

A frame is `DDF`, a version byte, a kind byte, the length of a msgpack header (u32, big endian),
the header, and an Arrow IPC stream (lz4) of rows, without the columns that are null in all of them.
Inside the pipeline every record is a frame (architecture.md section 2). A reader reads the versions
of `_OLDER` too, as rows of this one; any other, and a column that it does not know, is refused
(ReleaseError). Version 1 had no contracts, nor all that a void needs of a line, so it is not read;
2 had every column, null or not, and every text as a string.

Positions. A journal row's *source coordinate* is (source, offset). From the journal on, the
position of a thing is (journal offset, row, ordinal): each output of one record has its own
ordinal. `after` and `upto` in a header are the writer's position before and after the frame: the
source vector (catalog, credits, usage) in a journal frame, (journal offset, row, ordinal) in the
others.
"""

from collections.abc import Callable
from enum import IntEnum
from io import BytesIO
from typing import Final, Generic, TypeVar

import msgspec
import polars as pl

from schemas.errors import FrameError, ReleaseError, newer

MAGIC: Final = b"DDF"
VERSION: Final = 3
_HEAD: Final = len(MAGIC) + 2 + 4

CREDITS: Final = pl.Decimal(38, 9)
QUANTITY: Final = pl.Decimal(38, 9)
UNIT_PRICE: Final = pl.Decimal(38, 12)

Vector = tuple[int, int, int]


class Source(IntEnum):
    """The raw topics in the order in which ties of received_at are written (section 4)."""

    CATALOG = 0
    CREDITS = 1
    USAGE = 2


class FrameKind(IntEnum):
    """Which log a frame belongs to."""

    JOURNAL = 1
    RATED = 2
    LEDGER = 3


class JournalKind(IntEnum):
    """What a journal row is. Documents and ticks are rows too, so one order holds them all."""

    USAGE = 0
    TICK = 1
    CREDITS = 2
    CATALOG = 3


class RatedKind(IntEnum):
    """What a rated row is: how one journal row ended in rating (I1)."""

    LINE = 0
    TICK = 1
    DOCUMENT = 2
    UNRATED = 3
    REFUSED = 4


_Columns = dict[str, pl.DataType | type[pl.DataType]]
_FEW: Final = pl.Categorical()
"""Texts of which there are few: what a line was decided by. A frame holds each once."""

_JOURNAL: Final[_Columns] = {
    "kind": pl.UInt8,
    "offset": pl.Int64,  # in its source topic and partition
    "received_at": pl.Int64,  # microseconds since the epoch, as stamped by the broker
    "account": pl.String,  # null for ticks and catalog documents
    "source": pl.String,  # CloudEvents attributes of usage, else null
    "id": pl.String,
    "type": pl.String,
    "time": pl.Int64,  # event time, microseconds
    "contract": pl.String,  # the contract that a usage event names, if it names one
    "data": pl.Binary,  # usage: the bytes of `data`; documents: the document's bytes
}
JOURNAL_SCHEMA: Final = pl.Schema(_JOURNAL)
_RATED: Final[_Columns] = {
    "journal_offset": pl.Int64,
    "row": pl.Int64,
    "ordinal": pl.Int64,
    "kind": pl.UInt8,
    "at": pl.Int64,  # journal time J of the record, microseconds
    "account": pl.String,
    "source": pl.String,  # the event that was rated: its source, id and time
    "id": pl.String,
    "time": pl.Int64,
    "product": _FEW,
    "contract": _FEW,  # the contract that covers the line
    "named": pl.Boolean,  # the event named that contract
    "revision": pl.Int64,  # of the contract, in force at event time
    "override": pl.Int64,  # which of the revision's overrides applied, from 0
    "rate_card": _FEW,
    "version": pl.Int64,
    "match": _FEW,  # what the rate that priced it matched, as canonical JSON
    "period": pl.Int64,  # start of the billing period of the line's key, microseconds
    "price": _FEW,  # the price as it was applied, as canonical JSON
    "quantity": QUANTITY,
    "before": QUANTITY,  # the key's quantity before this line, where the price is cumulative
    "unit_price": UNIT_PRICE,  # unit price, flat price or package price before a multiplier
    "cost": CREDITS,
    "entities": pl.String,  # limits by a data path: JSON [[limit, contract or null, entity], ...]
    "mirror": pl.String,  # of a void: JSON {"overage", "short", "slices": [[grant, units], ...]}
    "reason": _FEW,  # unrated and refused rows: a code of schemas.reasons
    "data": pl.Binary,  # documents, unrated and refused rows: the bytes
}
RATED_SCHEMA: Final = pl.Schema(_RATED)
_LEDGER: Final[_Columns] = {
    "journal_offset": pl.Int64,
    "row": pl.Int64,
    "ordinal": pl.Int64,
    "at": pl.Int64,
    "account": pl.String,
    "posting": _FEW,  # the kind of posting, see projections.balances.postings
    "grant": pl.String,
    "amount": CREDITS,
    "source": pl.String,
    "id": pl.String,
    "time": pl.Int64,
    "product": _FEW,
    "contract": _FEW,
    "named": pl.Boolean,
    "revision": pl.Int64,
    "override": pl.Int64,
    "rate_card": _FEW,
    "version": pl.Int64,
    "match": _FEW,
    "period": pl.Int64,
    "price": _FEW,
    "quantity": QUANTITY,
    "cost": CREDITS,
    "entities": pl.String,
    "unauthorised": pl.Boolean,  # the entitlement check denied the line just before it
    "reference": pl.String,  # what else belongs to it: a reason, a settlement, a parent grant
}
LEDGER_SCHEMA: Final = pl.Schema(_LEDGER)
_SCHEMAS: Final = {
    FrameKind.JOURNAL: JOURNAL_SCHEMA,
    FrameKind.RATED: RATED_SCHEMA,
    FrameKind.LEDGER: LEDGER_SCHEMA,
}


class JournalHeader(msgspec.Struct, frozen=True, array_like=True):
    """`refused`: (source, offset, reason code) of each record that the journal does not carry."""

    after: Vector
    upto: Vector
    refused: list[tuple[int, int, str]]


class OutputHeader(msgspec.Struct, frozen=True, array_like=True):
    """Of rated and ledger frames: the span of journal positions that the frame covers."""

    after: Vector
    upto: Vector


H = TypeVar("H", JournalHeader, OutputHeader)


class Frame(msgspec.Struct, Generic[H], frozen=True):
    """One decoded record: its span, and its rows."""

    header: H
    rows: pl.DataFrame


def encode(kind: FrameKind, header: JournalHeader | OutputHeader, rows: pl.DataFrame) -> bytes:
    """The bytes of one frame. `rows` has exactly the kind's schema."""
    assert rows.schema == _SCHEMAS[kind], (rows.schema, kind)
    head = msgspec.msgpack.encode(header)
    body = BytesIO()
    kept = [column for column in rows.get_columns() if column.null_count() < max(rows.height, 1)]
    pl.DataFrame(kept).write_ipc_stream(body, compression="lz4")
    return b"".join(
        (MAGIC, bytes((VERSION, kind)), len(head).to_bytes(4, "big"), head, body.getbuffer())
    )


def decode_journal(value: bytes) -> Frame[JournalHeader]:
    """Raises FrameError for anything but a journal frame, ReleaseError for an unknown version."""
    return _decode(FrameKind.JOURNAL, JournalHeader, value)


def decode_rated(value: bytes) -> Frame[OutputHeader]:
    """Raises FrameError for anything but a rated frame, ReleaseError for an unknown version."""
    return _decode(FrameKind.RATED, OutputHeader, value)


def decode_ledger(value: bytes) -> Frame[OutputHeader]:
    """Raises FrameError for anything but a ledger frame, ReleaseError for an unknown version."""
    return _decode(FrameKind.LEDGER, OutputHeader, value)


def ledger_ids(value: bytes) -> tuple[OutputHeader, list[str | None]]:
    """The span of a ledger frame, and the event id of each row; [] where no row has one.

    At most a quarter of the work of decoding it: for telling which frames to decode, for of all
    other columns nothing is read or checked. Raises FrameError, and ReleaseError for an unknown
    version.
    """
    head, end = _headed(FrameKind.LEDGER, OutputHeader, value)
    try:
        ids = pl.read_ipc_stream(BytesIO(value[end:]), columns=["id"]).get_column("id")
    except pl.exceptions.ColumnNotFoundError:  # null in all of them
        return head, []
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(error) from error
    if ids.dtype != LEDGER_SCHEMA["id"]:
        message = f"a frame with ids of another type: {ids.dtype}"
        raise FrameError(message)
    return head, ids.to_list()


def _decode(kind: FrameKind, header: type[H], value: bytes) -> Frame[H]:
    head, end = _headed(kind, header, value)
    try:
        rows = pl.read_ipc_stream(BytesIO(value[end:]))
        if value[3] != VERSION:
            rows = _OLDER[value[3]](rows, _SCHEMAS[kind])
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(error) from error
    return Frame(head, _completed(rows, _SCHEMAS[kind]))


def _headed(kind: FrameKind, header: type[H], value: bytes) -> tuple[H, int]:
    """The header of a frame, and where its rows begin."""
    if value[: len(MAGIC)] != MAGIC or len(value) < _HEAD:
        message = "not a frame: it does not begin with DDF"
        raise FrameError(message)
    version, found = value[3], value[4]
    if version != VERSION and version not in _OLDER:
        raise _unread(version)
    if found != kind:
        message = f"frame kind {found}, expected {kind} ({kind.name.lower()})"
        raise FrameError(message)
    end = _HEAD + int.from_bytes(value[5:_HEAD], "big")
    try:
        return msgspec.msgpack.decode(value[_HEAD:end], type=header), end
    except msgspec.DecodeError as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> FrameError:
    return FrameError(f"a damaged frame: {error}")


def _unread(version: int) -> ReleaseError:
    reads = f"frame version {version}, this release reads {min(_OLDER)} to {VERSION}"
    if version > VERSION:
        return newer(reads)
    return ReleaseError(f"{reads}: only a release of that time can read this log")


def _few_once(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Rows of version 2."""
    few = (name for name in rows.columns if schema.get(name) == _FEW)
    return rows.with_columns_seq(pl.col(name).cast(_FEW) for name in few)


_OLDER: Final[dict[int, Callable[[pl.DataFrame, pl.Schema], pl.DataFrame]]] = {2: _few_once}
"""What makes rows of an older version rows of this one. None is ever taken out: logs are kept."""


def _completed(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """`rows` with the columns that are null in all of them.

    Raises ReleaseError for columns that are not in `schema`, FrameError for any of another type.
    """
    if not rows.schema.items() <= schema.items():
        if unknown := rows.schema.keys() - schema.keys():
            raise newer(f"a frame with columns {', '.join(sorted(unknown))}")
        message = f"a frame with other columns: {rows.schema}"
        raise FrameError(message)
    found = rows.schema
    return rows.select_seq(
        pl.col(name) if name in found else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )
