"""The columns of rated rows, of the event, of the decision and of the party, and their amounts."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from processors.rating.costs import Costs
from processors.rating.events import entities_text
from processors.rating.fields import Layout, read_fields
from processors.rating.known import Known
from processors.rating.lines import Lines, Usage
from processors.rating.rated import Rated
from projections.rates.choice import EntityLimit
from projections.rates.extract import text_of
from schemas.frames import CREDITS, QUANTITY, RATED_SCHEMA, UNIT_PRICE, RatedKind
from schemas.tables import gathered

_OF_EVENT: Final = ("journal_offset", "row", "at", "account", "source", "id", "time")
_OF_DECISION: Final = (
    "kind",
    "product",
    "override",
    "rate_card",
    "version",
    "match",
    "price",
    "unit_price",
    "reason",
)
_OF_PARTY: Final = ("contract", "named", "revision", "period")
_OF_LINES: Final = (*_OF_PARTY, "quantity", "before", "cost", "entities")
_SCALES: Final = {
    "quantity": QUANTITY,
    "before": QUANTITY,
    "unit_price": UNIT_PRICE,
    "cost": CREDITS,
}
_UNITS: Final = pl.Schema(
    [
        (name, pl.Int128() if isinstance(dtype, pl.Decimal) else dtype)
        for name, dtype in RATED_SCHEMA.items()
    ]
)


def gather(
    batch: pl.DataFrame, lines: Lines, costs: Costs, usage: Usage, known: Known
) -> pl.DataFrame:
    """The rows of RATED_SCHEMA that `lines` have become."""
    places = pl.Series(lines.events, dtype=pl.UInt32)
    decided = known.decided.of(lines.codes, _OF_DECISION)
    is_line = decided.get_column("kind") == int(RatedKind.LINE)
    rated = gathered(batch.select_seq(_OF_EVENT), places).hstack(
        [
            *decided.get_columns(),
            *known.charged.of(lines.parties, _OF_PARTY).get_columns(),
            pl.Series("ordinal", lines.ordinals, dtype=pl.Int64),
            costs.quantity.alias("quantity"),
            costs.before.alias("before"),
            costs.cost.alias("cost"),
            _entities(lines, usage, known),
            pl.Series("mirror", [None], dtype=pl.String).new_from_index(0, len(places)),
            _data(batch, places, is_line),
        ]
    )
    if not is_line.all():
        rated = rated.with_columns_seq(pl.when(is_line).then(pl.col(_OF_LINES)).name.keep())
    return _in_decimals(rated)


def rated_frame(rated: Sequence[Rated]) -> pl.DataFrame:
    """The rows of the plain rating as a table of RATED_SCHEMA."""
    columns = {name: [getattr(row, name) for row in rated] for name in RATED_SCHEMA}
    return _in_decimals(pl.DataFrame(columns, schema=_UNITS))


def _in_decimals(units: pl.DataFrame) -> pl.DataFrame:
    """Amounts as decimals instead of their units; exact, no value is converted."""
    return units.select_seq(
        pl.col(name).reinterpret(dtype=_SCALES[name]) if name in _SCALES else pl.col(name)
        for name in RATED_SCHEMA
    )


def _entities(lines: Lines, usage: Usage, known: Known) -> pl.Series:
    """The entities of lines that a limit by a data path counts."""
    found = pl.Series("entities", [None], dtype=pl.String).new_from_index(0, len(lines.events))
    parties = known.parties.values
    limited = {party for party in set(lines.parties) if parties[party].limits}
    if not limited:
        return found
    by_limits: dict[tuple[EntityLimit, ...], list[int]] = {}
    for at, party in enumerate(lines.parties):
        if party in limited:
            by_limits.setdefault(parties[party].limits, []).append(at)
    for limits, places in by_limits.items():
        layout = Layout((), tuple(dict.fromkeys(limit.path for limit in limits)))
        fields = read_fields(layout, [usage.data[lines.events[at]] for at in places])
        columns = [fields.dimensions[limit.path] for limit in limits]
        texts = [
            entities_text(
                [
                    (limit, entity)
                    for limit, value in zip(limits, values, strict=True)
                    if (entity := text_of(value)) is not None
                ]
            )
            for values in zip(*columns, strict=True)
        ]
        found = found.scatter(places, pl.Series(texts, dtype=pl.String))
    return found


def _data(batch: pl.DataFrame, places: pl.Series, is_line: pl.Series) -> pl.Series:
    """The bytes of every row but lines and ticks (a tick has none)."""
    if is_line.all():
        return pl.Series("data", [None], dtype=pl.Binary).new_from_index(0, len(places))
    kept = places.to_frame("at").select_seq(pl.when(~is_line).then("at")).to_series()
    return batch.get_column("data").gather(kept)
