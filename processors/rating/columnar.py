"""Rating a whole batch of journal rows in columns; the same result as `processors.rating.reference`.

A batch is cut where a document stands; between documents the catalog and the accounts stand still, so a run
of usage is priced at once: each distinct (rate card, version, dimensions) is looked up once, in plain
Python, and joined back. Amounts are Int128 units. Polars wraps silently there, so every product is
guarded, and where the guard does not hold the rows are priced one by one in Python's integers.
"""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from processors.rating.catalog import Catalog, Choice
from processors.rating.documents import apply_to_accounts, apply_to_catalog, load_catalog
from processors.rating.fields import Fields, quantities, read_fields
from processors.rating.reference import ONE
from processors.rating.rows import (
    AccountRow,
    CumulativeRow,
    RatingRow,
    account_key,
    cumulative_key,
)
from projections.pricing import (
    COST_LIMIT,
    PRICE_TO_CREDIT,
    QUANTITY_LIMIT,
    Price,
    line_cost,
)
from projections.rows import Rows
from schemas.documents import Product
from schemas.frames import CREDITS, QUANTITY, RATED_SCHEMA, UNIT_PRICE, JournalKind, RatedKind
from schemas.reasons import Reason
from schemas.times import month_period

I128: Final = pl.Int128
_SAFE: Final = 10**37
"""Products below it leave room in 127 bits for the doubling of a remainder."""
_PLACE: Final = ["journal_offset", "row", "ordinal"]
_DOCUMENTS: Final = (int(JournalKind.CREDITS), int(JournalKind.CATALOG))
_EVENT: Final = ["journal_offset", "row", "at", "account", "source", "id", "time"]


def rate(batch: pl.DataFrame, clock: int, rows: Rows[RatingRow]) -> tuple[pl.DataFrame, int]:
    """Rated rows of `batch` (JOURNAL_SCHEMA with `journal_offset` and `row`, in log order).

    `clock` is journal time before it; gives RATED_SCHEMA in position order, and journal time after it.
    """
    batch = batch.with_columns(
        at=pl.max_horizontal(pl.col("received_at").cum_max(), pl.lit(clock, pl.Int64))
    )
    catalog = load_catalog(rows)
    parts: list[pl.DataFrame] = []
    for documents, run in _runs(batch):
        if documents:
            parts.append(_apply_documents(run, catalog, rows))
        else:
            parts.extend(_rate_run(run, catalog, rows))
    rated = pl.concat(parts) if parts else pl.DataFrame(schema=RATED_SCHEMA)
    last = batch.get_column("at").item(-1) if batch.height else clock
    return rated.sort(_PLACE), last


def _runs(batch: pl.DataFrame) -> Iterator[tuple[bool, pl.DataFrame]]:
    """The batch cut where documents begin and end."""
    documents = batch.get_column("kind").is_in(_DOCUMENTS)
    edges = [0, *(documents != documents.shift()).fill_null(value=False).arg_true(), batch.height]
    for start, end in zip(edges, edges[1:], strict=False):
        if end > start:
            yield documents[start], batch.slice(start, end - start)


def _apply_documents(run: pl.DataFrame, catalog: Catalog, rows: Rows[RatingRow]) -> pl.DataFrame:
    credits_kind = run.get_column("kind") == int(JournalKind.CREDITS)
    rows.load(account_key(a) for a in run.filter(credits_kind).get_column("account").unique())
    rated = []
    for journal in run.iter_rows(named=True):
        base = {name: journal[name] for name in ("journal_offset", "row", "at", "data")}
        if journal["kind"] == JournalKind.CATALOG:
            refusal = apply_to_catalog(catalog, journal["data"], journal["at"], rows)
        else:
            base["account"] = journal["account"]
            refusal = apply_to_accounts(journal["data"], rows)
        if refusal is not None:
            kind, reason = int(RatedKind.REFUSED), str(refusal.reason)
            rated.append({**base, "ordinal": 0, "kind": kind, "reason": reason})
        elif journal["kind"] == JournalKind.CREDITS:
            rated.append({**base, "ordinal": 0, "kind": int(RatedKind.DOCUMENT)})
    return pl.DataFrame(rated, schema=RATED_SCHEMA)


def _rate_run(
    run: pl.DataFrame, catalog: Catalog, rows: Rows[RatingRow]
) -> Iterator[pl.DataFrame]:
    ticks = run.filter(pl.col("kind") == int(JournalKind.TICK))
    if ticks.height:
        yield _rated(ticks.select("journal_offset", "row", "at"), RatedKind.TICK)
    usage = run.filter(pl.col("kind") == int(JournalKind.USAGE))
    if not usage.height:
        return
    usage = usage.join(_accounts(usage, rows), on="account", how="left")
    unknown = usage.filter(~pl.col("known"))
    if unknown.height:
        yield _unrated(unknown, Reason.UNKNOWN_ACCOUNT)
        usage = usage.filter("known")
    for (event_type,), events in usage.group_by("type", maintain_order=True):
        products = catalog.products(str(event_type))
        if products:
            yield from _rate_type(events, products, catalog, rows)
        else:
            yield _unrated(events, Reason.NO_PRODUCT)


def _accounts(usage: pl.DataFrame, rows: Rows[RatingRow]) -> pl.DataFrame:
    names = usage.get_column("account").unique().to_list()
    rows.load([account_key(name) for name in names])
    found = [rows.get(account_key(name)) for name in names]
    held = [row if isinstance(row, AccountRow) else None for row in found]
    return pl.DataFrame(
        {
            "account": names,
            "known": [row is not None for row in held],
            "rate_card": [row and row.rate_card for row in held],
            "time_zone": [row and row.time_zone for row in held],
        },
        schema={
            "account": pl.String,
            "known": pl.Boolean,
            "rate_card": pl.String,
            "time_zone": pl.String,
        },
    )


def _rate_type(
    events: pl.DataFrame, products: list[Product], catalog: Catalog, rows: Rows[RatingRow]
) -> Iterator[pl.DataFrame]:
    """Events of one type: each feeds every product that meters it, in catalog order."""
    fields = read_fields(products, events.get_column("data").to_list())
    units = {path: quantities(texts) for path, texts in fields.values.items()}
    negative = pl.Series([False]).new_from_index(0, events.height)
    for of_path in units.values():
        negative |= _negative(of_path)
    if negative.any():
        refused = events.filter(negative)
        yield _unrated(refused, Reason.NEGATIVE_QUANTITY, RatedKind.REFUSED)
    for ordinal, product in enumerate(products):
        path = product.meter.value
        quantity = (
            pl.Series([ONE], dtype=I128).new_from_index(0, events.height)
            if path is None
            else units[path]
        )
        lines = events.with_columns(
            quantity.alias("units"),
            pl.lit(ordinal, pl.Int64).alias("ordinal"),
            pl.lit(product.id).alias("product"),
            *(
                fields.dimensions[name].alias(f"dimension {name}")
                for name in product.meter.dimensions
            ),
        ).filter(~negative)
        yield from _price(lines, product, catalog, rows)


def _negative(units: pl.Series) -> pl.Series:
    return (
        units.to_frame("units")
        .select((pl.col("units") < pl.lit(0, I128)).fill_null(value=False))
        .to_series()
    )


def _price(
    lines: pl.DataFrame, product: Product, catalog: Catalog, rows: Rows[RatingRow]
) -> Iterator[pl.DataFrame]:
    lines = lines.with_columns(_version_index(lines, catalog))
    keys = ["rate_card", "version index", *(f"dimension {n}" for n in product.meter.dimensions)]
    chosen = _choices(lines.select(*keys, "time").unique(keys), product, catalog)
    lines = lines.join(chosen, on=keys, how="left", nulls_equal=True, maintain_order="left")
    unpriced = lines.filter(pl.col("reason").is_not_null() | pl.col("units").is_null())
    if unpriced.height:
        reason = pl.coalesce("reason", pl.lit(str(Reason.BAD_VALUE)))
        yield _rated(
            unpriced.select(*_EVENT, "ordinal", "product", "data", reason=reason), RatedKind.UNRATED
        )
        lines = lines.filter(pl.col("reason").is_null() & pl.col("units").is_not_null())
    for cumulative in (False, True):
        part = lines.filter(pl.col("cumulative") == cumulative)
        if not part.height:
            continue
        if cumulative:
            yield from _package_lines(part, product, rows)
        else:
            yield from _plain_lines(part)


def _version_index(lines: pl.DataFrame, catalog: Catalog) -> pl.Expr:
    """Which version of its rate card is in effect at each line's time, -1 for none."""
    index = pl.lit(-1, pl.Int32)
    for card in lines.get_column("rate_card").unique():
        if card is None:
            continue
        begun = pl.lit(-1, pl.Int32)
        for start in catalog.effective_times(card):
            begun = begun + (pl.col("time") >= start).cast(pl.Int32)
        index = pl.when(pl.col("rate_card") == card).then(begun).otherwise(index)
    return index.alias("version index")


def _choices(distinct: pl.DataFrame, product: Product, catalog: Catalog) -> pl.DataFrame:
    """What prices each distinct key, as columns; `reason` where nothing does."""
    found: dict[str, list[Any]] = {
        name: []
        for name in ("reason", "version", "match", "cumulative", "per event", "amount", "size")
    }
    names = product.meter.dimensions
    for key in distinct.iter_rows(named=True):
        dimensions = {name: key[f"dimension {name}"] for name in names}
        choice = catalog.choose(key["rate_card"], product.id, key["time"], dimensions)
        priced = isinstance(choice, Choice)
        price = choice.rate.price if isinstance(choice, Choice) else None
        found["reason"].append(None if priced else str(choice))
        found["version"].append(choice.version if isinstance(choice, Choice) else None)
        found["match"].append(choice.rate.label if isinstance(choice, Choice) else None)
        found["cumulative"].append(price.cumulative if price else None)
        found["per event"].append(price.model == "flat" if price else None)
        found["amount"].append(price.amount if price else None)
        found["size"].append(price.size if price else None)
    columns = pl.DataFrame(
        found,
        schema={
            "reason": pl.String,
            "version": pl.Int64,
            "match": pl.String,
            "cumulative": pl.Boolean,
            "per event": pl.Boolean,
            "amount": I128,
            "size": I128,
        },
    )
    return distinct.drop("time").hstack(columns)


def _plain_lines(part: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Unit and flat prices: the cost of a line depends on the line alone."""
    if _largest(part, "units") * _largest(part, "amount") >= _SAFE or (
        _largest(part, "size") * PRICE_TO_CREDIT >= _SAFE
    ):
        yield from _one_by_one(part, None)
        return
    counted = pl.when("per event").then(pl.lit(1, I128)).otherwise("units")
    cost = _half_even(counted * pl.col("amount"), pl.col("size") * pl.lit(PRICE_TO_CREDIT, I128))
    priced = part.with_columns(cost.alias("cost units"), pl.lit(None, I128).alias("before units"))
    if _largest(priced, "cost units") > COST_LIMIT:
        yield from _one_by_one(part, None)
    else:
        yield _lines(priced)


def _package_lines(
    part: pl.DataFrame, product: Product, rows: Rows[RatingRow]
) -> Iterator[pl.DataFrame]:
    """Packages: cumulative per (account, match, billing period), in log order."""
    part = part.with_columns(_period_starts(part))
    keys = ["account", "match", "period"]
    groups = part.group_by(keys, maintain_order=True).agg(pl.col("units").sum().alias("sum"))
    names = [
        cumulative_key(account, product.id, match, period)
        for account, match, period in groups.select(keys).iter_rows()
    ]
    rows.load(names)
    base = [_total(rows, name) for name in names]
    groups = groups.with_columns(
        pl.Series("key", names), pl.Series("base", base, dtype=I128)
    )
    part = part.join(groups, on=keys, how="left", maintain_order="left")
    # A line is at most 10^27 units and a batch far below 10^9 lines: no sum of a batch wraps.
    after = pl.col("base") + pl.col("units").cum_sum().over("key")
    part = part.with_columns(after.alias("after units")).with_columns(
        (pl.col("after units") - pl.col("units")).alias("before units")
    )
    most = _largest(part, "after units") + _largest(part, "size")
    if most > QUANTITY_LIMIT or (
        (most // _least(part, "size") + 1) * _largest(part, "amount") >= _SAFE
    ):
        yield from _one_by_one(part, rows)
        return
    cost = _packages("after units") - _packages("before units")
    priced = part.with_columns(cost.alias("cost units"))
    if _largest(priced, "cost units") > COST_LIMIT:
        yield from _one_by_one(part, rows)
        return
    for key, start, added in zip(names, base, groups.get_column("sum"), strict=True):
        rows.put(key, CumulativeRow(str(start + added)))
    yield _lines(priced)


def _period_starts(part: pl.DataFrame) -> pl.Series:
    """The start of the billing period of each line: the calendar month of the account's zone."""
    starts: dict[str, int] = {}
    edges = part.group_by("time_zone").agg(
        pl.col("time").min().alias("first"), pl.col("time").max().alias("last")
    )
    for zone, first, last in edges.iter_rows():
        start, end = month_period(first, zone)
        if last >= end:
            pairs = part.select("time", "time_zone").iter_rows()
            return pl.Series("period", [month_period(time, at)[0] for time, at in pairs])
        starts[zone] = start
    return part.get_column("time_zone").replace_strict(starts, return_dtype=pl.Int64).alias("period")


def _one_by_one(part: pl.DataFrame, rows: Rows[RatingRow] | None) -> Iterator[pl.DataFrame]:
    """What columns could not hold: the same prices in Python's integers."""
    costs, befores, reasons = [], [], []
    for line in part.iter_rows(named=True):
        model = "flat" if line["per event"] else "package" if line["cumulative"] else "unit"
        price = Price(model, line["amount"], line["size"])  # type: ignore[arg-type]
        before = _total(rows, line["key"]) if rows is not None else 0
        cost = line_cost(price, line["units"], before)
        if cost is not None and rows is not None:
            rows.put(line["key"], CumulativeRow(str(before + line["units"])))
        costs.append(cost)
        befores.append(before if rows is not None else None)
        reasons.append(None if cost is not None else str(Reason.COST_OUT_OF_RANGE))
    part = part.with_columns(
        pl.Series("cost units", costs, dtype=I128),
        pl.Series("before units", befores, dtype=I128),
        pl.Series("reason", reasons, dtype=pl.String),
    )
    beyond = part.filter(pl.col("reason").is_not_null())
    if beyond.height:
        yield _rated(
            beyond.select(*_EVENT, "ordinal", "product", "data", "reason"), RatedKind.UNRATED
        )
    yield _lines(part.filter(pl.col("reason").is_null()))


def _total(rows: Rows[RatingRow], key: str) -> int:
    row = rows.get(key)
    return int(row.total) if isinstance(row, CumulativeRow) else 0


def _half_even(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """numerator / denominator, both not negative, ties to even; exact below `_SAFE`."""
    quotient = numerator // denominator
    twice = (numerator - quotient * denominator) * pl.lit(2, I128)
    odd = (quotient % pl.lit(2, I128)) == pl.lit(1, I128)
    up = (twice > denominator) | ((twice == denominator) & odd)
    return quotient + up.cast(I128)


def _packages(total: str) -> pl.Expr:
    started = (pl.col(total) + pl.col("size") - pl.lit(1, I128)) // pl.col("size")
    return _half_even(started * pl.col("amount"), pl.lit(PRICE_TO_CREDIT, I128))


def _largest(frame: pl.DataFrame, column: str) -> int:
    return int(frame.get_column(column).max() or 0)  # type: ignore[call-overload]


def _least(frame: pl.DataFrame, column: str) -> int:
    return int(frame.get_column(column).min() or 0)  # type: ignore[call-overload]


def _lines(priced: pl.DataFrame) -> pl.DataFrame:
    lines = priced.select(
        *_EVENT,
        "ordinal",
        "product",
        "rate_card",
        "version",
        "match",
        pl.col("units").reinterpret(dtype=QUANTITY).alias("quantity"),
        pl.col("before units").reinterpret(dtype=QUANTITY).alias("before"),
        pl.col("amount").reinterpret(dtype=UNIT_PRICE).alias("unit_price"),
        pl.col("cost units").reinterpret(dtype=CREDITS).alias("cost"),
    )
    return _rated(lines, RatedKind.LINE)


def _unrated(
    events: pl.DataFrame, reason: Reason, kind: RatedKind = RatedKind.UNRATED
) -> pl.DataFrame:
    return _rated(events.select(*_EVENT, "data", reason=pl.lit(str(reason))), kind)


def _rated(rows: pl.DataFrame, kind: RatedKind) -> pl.DataFrame:
    """Rows of RATED_SCHEMA: what `rows` does not bring is null, and ordinal is 0 by default."""
    present = set(rows.columns)
    filled: list[pl.Expr] = []
    for name, dtype in RATED_SCHEMA.items():
        if name == "kind":
            filled.append(pl.lit(int(kind), pl.UInt8).alias(name))
        elif name in present:
            filled.append(pl.col(name))
        else:
            filled.append(pl.lit(0 if name == "ordinal" else None, dtype).alias(name))
    return rows.select(filled)
