"""Values and dimensions out of many events' `data` at once: the quick form of `extract`.

msgspec reads just the paths that are needed, one record at a time; whatever it does not take (a dimension
that is no string, `data` that is no object) is read the plain way. facts.md: never join records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
import polars as pl

from processors.rating.extract import at_path, dimension_of, load_data, quantity_of
from schemas.documents import Product
from schemas.frames import QUANTITY

_EXACT: Final = r"^(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?$"
_NOTHING: Final = msgspec.Raw(b"")


@dataclass(frozen=True, slots=True)
class Fields:
    """Columns of one event type: metered texts by value path, dimension texts by dimension path."""

    values: dict[str, pl.Series]
    dimensions: dict[str, pl.Series]


def read_fields(products: Sequence[Product], data: Sequence[bytes | None]) -> Fields:
    """What `products` need of each event's `data`, in order.

    A value is the literal text of a number or the text of a string, null where there is neither.
    """
    values = tuple(dict.fromkeys(p.meter.value for p in products if p.meter.value is not None))
    dimensions = tuple(dict.fromkeys(name for p in products for name in p.meter.dimensions))
    if not values and not dimensions:
        return Fields({}, {})
    taken = _take(values, dimensions, data)
    columns = list(zip(*taken, strict=True)) if taken else [()] * (len(values) + len(dimensions))
    return Fields(
        {path: _texts(columns[at]) for at, path in enumerate(values)},
        {
            path: pl.Series(path, columns[len(values) + at], dtype=pl.String)
            for at, path in enumerate(dimensions)
        },
    )


def quantities(texts: pl.Series) -> pl.Series:
    """Units of each metered text as Int128, null where it is no exact number within the limits."""
    exact = texts.str.contains(_EXACT).fill_null(value=False)
    if exact.all():
        return texts.cast(QUANTITY).to_physical()
    frame = pl.DataFrame({"text": texts, "exact": exact}).select(
        pl.when("exact").then("text").cast(QUANTITY).to_physical()
    )
    units = frame.to_series().to_list()
    for at in (~exact).arg_true():
        units[at] = quantity_of(texts[at])
    return pl.Series(units, dtype=pl.Int128)


def _texts(raws: Sequence[Any]) -> pl.Series:
    return pl.Series([raw or None for raw in raws], dtype=pl.Binary).cast(pl.String)


def _take(
    values: tuple[str, ...], dimensions: tuple[str, ...], data: Sequence[bytes | None]
) -> list[tuple[Any, ...]]:
    decode, names = _decoder(values, dimensions)
    rows = []
    for raw in data:
        if raw is not None and decode is not None:
            try:
                found = decode(raw)
            except (msgspec.MsgspecError, RecursionError):
                pass
            else:
                rows.append(_plain(found, names, len(values)))
                continue
        rows.append(_slow(values, dimensions, raw))
    return rows


def _plain(found: Any, names: tuple[str, ...], count: int) -> tuple[Any, ...]:  # noqa: ANN401
    texts = [bytes(getattr(found, name)) for name in names[:count]]
    if any(text[:1] not in _DIGITS for text in texts):
        texts = [_number_text(text) for text in texts]
    return (*texts, *(getattr(found, name) for name in names[count:]))


_DIGITS: Final = frozenset(bytes((digit,)) for digit in b"0123456789")


def _number_text(raw: bytes) -> bytes:
    """The text of a raw JSON value if it is a number or a string, else nothing."""
    if not raw:
        return b""
    value = load_data(raw)
    return value.encode() if isinstance(value, str) else b""


def _slow(
    values: tuple[str, ...], dimensions: tuple[str, ...], raw: bytes | None
) -> tuple[Any, ...]:
    loaded = load_data(raw)
    texts = (at_path(loaded, path) for path in values)
    return (
        *(text.encode() if isinstance(text, str) else b"" for text in texts),
        *(dimension_of(at_path(loaded, path)) for path in dimensions),
    )


@lru_cache(maxsize=256)
def _decoder(values: tuple[str, ...], dimensions: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    """A decoder of just these paths; None where a path is nested or is both (read slowly then)."""
    paths = (*values, *dimensions)
    if any("." in path for path in paths) or len(set(paths)) != len(paths):
        return None, ()
    names = tuple(f"f{at}" for at in range(len(paths)))
    fields: list[Any] = [(name, msgspec.Raw, _NOTHING) for name in names[: len(values)]]
    fields += [(name, str | None, None) for name in names[len(values) :]]
    struct = msgspec.defstruct(
        "Fields", fields, rename=dict(zip(names, paths, strict=True)), gc=False
    )
    return msgspec.json.Decoder(struct).decode, names
