"""Values and dimensions out of many events' `data`: the quick form of `extract`, with its results.

msgspec reads just the paths that are needed, one record at a time (never join records); what it
does not take (a dimension that is a number, `data` that is no object) is read plainly. Of numbers
only integers are taken from msgspec: it reads others as floats, so their texts are read again.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple, cast

import msgspec
import polars as pl

from projections.pricing import QUANTITY_LIMIT
from projections.rates.extract import at_path, dimension_of, load_data, quantity_of
from schemas.documents import Product
from schemas.numbers import QUANTITY_DECIMALS

ONE: Final = 10**QUANTITY_DECIMALS
_WHOLE_LIMIT: Final = QUANTITY_LIMIT // ONE
_UNREADABLE: Final = (msgspec.MsgspecError, RecursionError)


class Layout(NamedTuple):
    """The paths that the products of one event type need, each once."""

    values: tuple[str, ...]
    dimensions: tuple[str, ...]


def layout_of(products: Sequence[Product]) -> Layout:
    """The paths of `products`, in order of first mention; a `unique` value is read as a text."""
    paths = [(p.meter.value, p.meter.aggregation == "unique") for p in products]
    values = (path for path, unique in paths if path is not None and not unique)
    dimensions = [name for p in products for name in p.meter.dimensions]
    dimensions += [path for path, unique in paths if path is not None and unique]
    return Layout(tuple(dict.fromkeys(values)), tuple(dict.fromkeys(dimensions)))


def filters_of(products: Sequence[Product]) -> Layout:
    """The paths that the products' filters look at."""
    paths = (path for product in products for path in product.meter.filter)
    return Layout((), tuple(dict.fromkeys(paths)))


class Fields(NamedTuple):
    """Columns in the order of the events: units by value path, texts by dimension path.

    Units are None where there is no exact number within the limits. A dimension is its text or
    `true`/`false` as a bool: `dimension_of` gives the text. `negative` are the places of the events
    with a negative value at any path.
    """

    units: Mapping[str, Sequence[int | None]]
    dimensions: Mapping[str, Sequence[str | bool | None]]
    negative: set[int]


def read_fields(layout: Layout, data: Sequence[bytes | None]) -> Fields:
    """What `layout` needs of each event's `data`."""
    values, dimensions = layout
    columns = _columns(layout, data)
    negative: set[int] = set()
    units = {path: _units(path, columns[at], data, negative) for at, path in enumerate(values)}
    texts = {path: columns[len(values) + at] for at, path in enumerate(dimensions)}
    return Fields(units, texts, negative)


def _columns(layout: Layout, data: Sequence[bytes | None]) -> list[list[Any]]:
    """One column for each path; values as msgspec gives them or as literal texts."""
    count = len(layout.values) + len(layout.dimensions)
    if not count:
        return []
    decode, names = _decoder(layout)
    if decode is not None:
        try:
            found = list(map(decode, data))
        except (*_UNREADABLE, TypeError):  # TypeError: some event has no data
            pass
        else:
            return [list(map(attrgetter(name), found)) for name in names]
    rows = [_row(layout, decode, names, raw) for raw in data]
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * count


def _row(layout: Layout, decode: Any, names: tuple[str, ...], raw: bytes | None) -> list[Any]:  # noqa: ANN401
    if raw is not None and decode is not None:
        try:
            found = decode(raw)
        except _UNREADABLE:
            pass
        else:
            return [getattr(found, name) for name in names]
    loaded = load_data(raw)
    values = (at_path(loaded, path) for path in layout.values)
    return [
        *(value if isinstance(value, str) else None for value in values),
        *(dimension_of(at_path(loaded, path)) for path in layout.dimensions),
    ]


def _units(
    path: str, found: list[Any], data: Sequence[bytes | None], negative: set[int]
) -> Sequence[int | None]:
    """The units of a path; places of negative ones join `negative`."""
    if _all_whole(found):
        return [value * ONE for value in found]
    units = [_exact(path, value, raw) for value, raw in zip(found, data, strict=True)]
    negative.update(at for at, value in enumerate(units) if value is not None and value < 0)
    return units


def _all_whole(found: list[Any]) -> bool:
    """Whether all are integers from 0 up to the limit (msgspec gives no bool where these are)."""
    try:
        numbers = pl.Series(found, dtype=pl.Int64, strict=True)
    except (TypeError, OverflowError, UnicodeEncodeError):  # the last of a lone surrogate
        return False
    least, most = numbers.min(), numbers.max()
    if numbers.null_count() or least is None or most is None:
        return False
    return cast("int", least) >= 0 and cast("int", most) <= _WHOLE_LIMIT


def _exact(path: str, value: Any, raw: bytes | None) -> int | None:  # noqa: ANN401 - of JSON
    if type(value) is int:
        return value * ONE if -_WHOLE_LIMIT <= value <= _WHOLE_LIMIT else None
    if type(value) is float:
        value = _literal(path, raw)
    return quantity_of(value)


def _literal(path: str, raw: bytes | None) -> Any:  # noqa: ANN401 - of JSON
    """The number at a path, by its text."""
    decode, names = _literal_decoder(path)
    if raw is None or decode is None:
        return at_path(load_data(raw), path)
    return bytes(getattr(decode(raw), names[0])).decode()


@lru_cache(maxsize=1024)
def _decoder(layout: Layout) -> tuple[Any, tuple[str, ...]]:
    """A decoder of just these paths; None where a path is nested or is both (read plainly then)."""
    paths = (*layout.values, *layout.dimensions)
    if any("." in path for path in paths) or len(set(paths)) != len(paths):
        return None, ()
    kinds = [int | float | str | None] * len(layout.values)
    return _struct(paths, [*kinds, *[str | bool | None] * len(layout.dimensions)], None)


@lru_cache(maxsize=1024)
def _literal_decoder(path: str) -> tuple[Any, tuple[str, ...]]:
    if "." in path:
        return None, ()
    return _struct((path,), [msgspec.Raw], msgspec.Raw(b"null"))


def _struct(
    paths: tuple[str, ...],
    kinds: list[Any],
    default: Any,  # noqa: ANN401
) -> tuple[Any, tuple[str, ...]]:
    names = tuple(f"f{at}" for at in range(len(paths)))
    fields = [(name, kind, default) for name, kind in zip(names, kinds, strict=True)]
    rename = dict(zip(names, paths, strict=True))
    struct = msgspec.defstruct("Paths", fields, rename=rename, gc=False)
    return msgspec.json.Decoder(struct).decode, names
