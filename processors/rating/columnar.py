"""Rating a whole batch of journal rows at once; the same result as `processors.rating.reference`.

Three steps: decide what each event is rated by, from document to document in the order of the log
(`decisions`); price all lines of the batch (`costs`); gather the columns of the rated rows.
"""

from typing import Any, Final

import polars as pl

from processors.rating.costs import Costs, price_lines
from processors.rating.decisions import UNKNOWN, Decider, UnknownAccount
from processors.rating.documents import apply_to_accounts, apply_to_catalog, load_catalog
from processors.rating.lines import Decision, Lines, Usage
from processors.rating.rows import AccountRow, RatingRow, account_key
from projections.rows import Rows
from schemas.frames import CREDITS, QUANTITY, RATED_SCHEMA, UNIT_PRICE, JournalKind, RatedKind

_DOCUMENT: Final = Decision(RatedKind.DOCUMENT)
_TICK: Final = Decision(RatedKind.TICK)
_OF_EVENT: Final = ("journal_offset", "row", "at", "account", "source", "id", "time")
_DECIDED: Final = pl.Schema(
    {
        "kind": RATED_SCHEMA["kind"],
        "product": pl.String(),
        "rate_card": pl.String(),
        "version": pl.Int64(),
        "match": pl.String(),
        "unit_price": pl.Int128(),
        "reason": pl.String(),
    }
)


def rate(batch: pl.DataFrame, clock: int, rows: Rows[RatingRow]) -> tuple[pl.DataFrame, int]:
    """Rated rows of `batch` (JOURNAL_SCHEMA with `journal_offset` and `row`, in log order).

    `clock` is journal time before it. Gives RATED_SCHEMA in position order, and journal time
    after it.
    """
    if not batch.height:
        return pl.DataFrame(schema=RATED_SCHEMA), clock
    batch = batch.with_columns(
        at=pl.max_horizontal(pl.col("received_at").cum_max(), pl.lit(clock, pl.Int64))
    )
    lines, usage = _decide(batch, rows)
    costs = price_lines(lines, usage.accounts, usage.times, rows)
    return _gather(batch, lines, costs), batch.get_column("at").item(-1)


def _decide(batch: pl.DataFrame, rows: Rows[RatingRow]) -> tuple[Lines, Usage]:
    names = ("type", "account", "time", "data")
    usage = Usage(*(batch.get_column(name).to_list() for name in names))
    accounts = batch.get_column("account").drop_nulls().unique().to_list()
    rows.load([account_key(name) for name in accounts])
    cards = {name: _rate_card(rows, name) for name in accounts}
    catalog, lines = load_catalog(rows), Lines()
    decider = Decider(catalog, lines)
    kinds, clocks = batch.get_column("kind"), batch.get_column("at")
    start = 0
    for at in (kinds != int(JournalKind.USAGE)).arg_true().to_list():
        decider.decide(start, at, usage, cards)
        start, kind, raw = at + 1, kinds[at], usage.data[at]
        if kind == JournalKind.TICK:
            lines.add_all((at,), _TICK)
            continue
        assert raw is not None
        if kind == JournalKind.CATALOG:
            refusal = apply_to_catalog(catalog, raw, clocks[at], rows)
            decider = Decider(catalog, lines)
        else:
            refusal = apply_to_accounts(raw, rows)
            cards[usage.accounts[at]] = _rate_card(rows, usage.accounts[at])
        if refusal is not None:
            lines.add_all((at,), Decision(RatedKind.REFUSED, reason=str(refusal.reason)))
        elif kind == JournalKind.CREDITS:
            lines.add_all((at,), _DOCUMENT)
    decider.decide(start, batch.height, usage, cards)
    return lines.in_order(), usage


def _rate_card(rows: Rows[RatingRow], account: str) -> str | UnknownAccount | None:
    row = rows.get(account_key(account))
    return row.rate_card if isinstance(row, AccountRow) else UNKNOWN


def _gather(batch: pl.DataFrame, lines: Lines, costs: Costs) -> pl.DataFrame:
    """The columns of RATED_SCHEMA: of the event, of the decision, and amounts of lines."""
    codes = pl.Series(lines.codes, dtype=pl.UInt32)
    places = pl.Series(lines.events, dtype=pl.UInt32)
    table = pl.DataFrame([_decided(d) for d in lines.decisions], schema=_DECIDED, orient="row")
    decided = table[codes]
    is_line = decided.get_column("kind") == int(RatedKind.LINE)
    rated = batch.select(_OF_EVENT)[places].hstack(
        [
            *decided.get_columns(),
            pl.Series("ordinal", lines.ordinals, dtype=pl.Int64),
            pl.Series("quantity", lines.units, dtype=pl.Int128),
            costs.before.alias("before"),
            costs.cost.alias("cost"),
            _data(batch, places, is_line),
        ]
    )
    if not is_line.all():
        amounts = ("quantity", "before", "cost")
        rated = rated.with_columns(pl.when(is_line).then(pl.col(amounts)).name.keep())
    scales = {"quantity": QUANTITY, "before": QUANTITY, "unit_price": UNIT_PRICE, "cost": CREDITS}
    units = [pl.col(name).reinterpret(dtype=dtype) for name, dtype in scales.items()]
    return rated.with_columns(units).select(RATED_SCHEMA.names())


def _decided(decision: Decision) -> tuple[Any, ...]:
    price = decision.price
    return (
        int(decision.kind),
        decision.product,
        decision.rate_card,
        decision.version,
        decision.match,
        None if price is None else price.amount,
        decision.reason,
    )


def _data(batch: pl.DataFrame, places: pl.Series, is_line: pl.Series) -> pl.Series:
    """The bytes of every row but lines and ticks (a tick has none)."""
    if is_line.all():
        return pl.Series("data", [None], dtype=pl.Binary).new_from_index(0, len(places))
    kept = places.to_frame("at").select(pl.when(~is_line).then("at")).to_series()
    return batch.get_column("data").gather(kept)
