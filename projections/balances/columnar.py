"""Drawing down a whole batch of rated rows; the same result as `projections.balances.reference`.

Per account, the batch's lines are summed by contract and product. Where the sums fit the account's
plan (no boundary of expiry, threshold, exhaustion, limit or a first overage within), each is one
subtraction and its postings are made in columns. Every other account goes line by line through the
reference, merged with the batch's ticks and documents in log order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any, Final, cast

import polars as pl

from projections.balances.alerts import Alert
from projections.balances.books import Books, tally_key_of_columns
from projections.balances.holds import rows_of
from projections.balances.plan import Group, take
from projections.balances.postings import CONSUMED, ORDINAL_BITS, OVERAGE, Posting, ledger_frame
from projections.balances.reference import concerns_all, fold_row
from projections.balances.row import BalanceRow
from projections.balances.step import Refused
from schemas.frames import LEDGER_SCHEMA, RatedKind
from schemas.tables import filtered, stacked

_PLACE: Final = ["journal_offset", "row", "ordinal"]
_UNITS: Final = ("quantity", "cost")
_SCOPE: Final = ("account", "contract", "product")
_KEY: Final = ("match", "period")
_SPANS: Final = ("first", "last", "begun", "at", "cost", "least")
_FOLDED: Final = [int(kind) for kind in (RatedKind.LINE, RatedKind.TICK, RatedKind.DOCUMENT)]


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch did: LEDGER_SCHEMA rows, alerts and refusals, each in position order."""

    ledger: pl.DataFrame
    alerts: list[Alert]
    refused: list[Refused]


def fold(batch: pl.DataFrame, books: Books) -> Folded:
    """Fold `batch`, RATED_SCHEMA rows in position order."""
    kinds = batch.get_column("kind")
    is_line = kinds == int(RatedKind.LINE)
    lines = batch if is_line.all() else filtered(batch, is_line)
    named = batch.get_column("account").filter(kinds == int(RatedKind.DOCUMENT)).to_list()
    sums = _sums(lines, [])
    accounts = sums.get_column("account").unique(maintain_order=True).to_list()
    # A catalog document can change what any line draws from: then all lines go the slow way.
    excluded: set[str] = set(accounts if None in named else named)
    rows = books.accounts([*accounts, *sorted({name for name in named if name is not None})])
    owing = [name for name in accounts if name in rows and _owes_by_key(rows[name])]
    if owing:
        sums = _sums(lines, owing)
    payers = _take_quickly(_groups(sums), rows, books, excluded)
    lines = lines.with_columns_seq(_spread(sums, payers))
    _tally(lines, books)
    ledger = _quick_ledger(lines)
    slow = _slow_rows(batch, lines, excluded)
    postings, alerts, refused = _fold_slowly(slow, books)
    if postings:
        ledger = stacked([ledger, ledger_frame(postings)]).sort(_PLACE)
    return Folded(ledger, alerts, refused)


def _spread(sums: pl.DataFrame, payers: list[str | None]) -> pl.Series:
    """The payer of each line, of that of its group."""
    number = pl.int_range(pl.len(), dtype=pl.UInt32)
    lines = sums.select_seq(group=number, at="at_lines").explode("at")
    group, at = lines.get_columns()
    of_line = group.clone().scatter(at, group)
    return pl.Series("payer", payers, dtype=pl.String).gather(of_line)


def _owes_by_key(row: BalanceRow) -> bool:
    """Whether overage is kept by key: the next grant repays it."""
    return any(key for _, key, _ in row.owed)


def _sums(lines: pl.DataFrame, owing: list[str]) -> pl.DataFrame:
    """One row for each group: by contract and product, and by key where overage is kept so."""
    costs = lines.get_column("cost").to_physical()
    if lines.height:
        # Eager group sums wrap silently, so their bound is checked first.
        most = max(abs(cast("int", costs.max())), abs(cast("int", costs.min())))
        assert most * lines.height < 10**38, most
    columns = lines.select_seq(*_SCOPE, "time", "at", costs.alias("cost")).with_row_index(
        "at_lines"
    )
    keys = [*_SCOPE]
    if owing:
        by_key = lines.get_column("account").is_in(owing)
        columns = columns.with_columns_seq(
            pl.when(by_key).then(lines.get_column(name)).alias(f"of_{name}") for name in _KEY
        )
        keys += [f"of_{name}" for name in _KEY]
    return columns.group_by(*keys, maintain_order=True).agg(
        pl.col("time").min().alias("first"),
        pl.col("time").max().alias("last"),
        pl.col("at").min().alias("begun"),
        pl.col("at").max(),
        pl.col("cost").sum(),
        pl.col("cost").min().alias("least"),
        pl.col("at_lines"),
    )


def _groups(sums: pl.DataFrame) -> dict[str, list[Group]]:
    """By account, each with its place in the sums."""
    groups: dict[str, list[Group]] = {}
    names = [name for name in (*_SCOPE, *_SPANS, "of_match", "of_period") if name in sums.columns]
    columns = (sums.get_column(name).to_list() for name in names)
    for place, (account, *fields) in enumerate(zip(*columns, strict=True)):
        groups.setdefault(account, []).append(Group(place, *fields))
    return groups


def _tally(lines: pl.DataFrame, books: Books) -> None:
    """What the quick lines drew, by key: of cumulative prices all, of others the overage."""
    counted = (pl.col("before").is_not_null() & pl.col("payer").is_not_null()) | (
        pl.col("payer") == _OVERAGE
    )
    drawn = filtered(lines, counted & (pl.col("cost").to_physical() > pl.lit(0, pl.Int128)))
    if not drawn.height:
        return
    sums = drawn.group_by(tally_key_of_columns(), maintain_order=True).agg(
        pl.col("payer").first(), pl.col("cost").to_physical().sum()
    )
    keys, payers, costs = (column.to_list() for column in sums.get_columns())
    tallies = books.tallies(keys)
    for tally, payer, cost in zip(tallies, payers, costs, strict=True):
        if payer == _OVERAGE:
            tally.overage += cost
            tally.short += cost
        else:
            tally.drawn[payer] = tally.drawn.pop(payer, 0) + cost


_OVERAGE: Final = ""
"""In the place of a payer: all of it is overage. No grant has an empty id."""


def _take_quickly(
    groups: dict[str, list[Group]],
    rows: dict[str, BalanceRow],
    books: Books,
    excluded: set[str],
) -> list[str | None]:
    """Apply what fits; gives the payer of each group by its place, None for what goes the slow way.

    Accounts that go the slow way join `excluded`.
    """
    payers: list[str | None] = [None] * sum(map(len, groups.values()))
    for account, of_account in groups.items():
        if account in excluded:
            continue
        row = rows[account]
        taken = take(row, of_account, books)
        if taken is None:
            excluded.add(account)
            continue
        books.put(row)
        for payer, group in zip(taken, of_account, strict=True):
            payers[group.place] = _OVERAGE if payer is None else payer.id
    return payers


_OF_OVERAGE, _OF_GRANT = (
    pl.lit(posting, LEDGER_SCHEMA["posting"]) for posting in (OVERAGE, CONSUMED)
)


def _quick_ledger(lines: pl.DataFrame) -> pl.DataFrame:
    if lines.get_column("payer").null_count():
        lines = filtered(lines, lines.get_column("payer").is_not_null())
    free = pl.col("cost").to_physical() == pl.lit(0, pl.Int128)
    overage = (pl.col("payer") == _OVERAGE) & ~free
    own = {
        "ordinal": pl.col("ordinal") * (1 << ORDINAL_BITS),
        "posting": pl.when(overage).then(_OF_OVERAGE).otherwise(_OF_GRANT),
        "grant": pl.when(~free & (pl.col("payer") != _OVERAGE)).then("payer"),
        "amount": pl.col("cost"),
        "unauthorised": pl.lit(None, pl.Boolean),
        "reference": pl.lit(None, pl.String),
    }
    return lines.select_seq(own.get(name, pl.col(name)).alias(name) for name in LEDGER_SCHEMA)


def _slow_rows(batch: pl.DataFrame, lines: pl.DataFrame, excluded: set[str]) -> pl.DataFrame:
    """What the reference folds: ticks, documents, and all lines of the accounts that need it."""
    if lines.height == batch.height and lines.get_column("payer").null_count() == 0:
        return batch.clear()
    is_line = pl.col("kind") == int(RatedKind.LINE)
    if lines.get_column("payer").null_count() == 0:
        return filtered(batch, pl.col("kind").is_in(_FOLDED) & ~is_line)
    wanted = pl.col("account").is_in(sorted(excluded))
    return filtered(batch, pl.col("kind").is_in(_FOLDED) & (~is_line | wanted))


def _fold_slowly(
    slow: pl.DataFrame, books: Books
) -> tuple[list[Posting], list[Alert], list[Refused]]:
    postings: list[Posting] = []
    alerts: list[Alert] = []
    refused: list[Refused] = []
    if not slow.height:
        return postings, alerts, refused
    counted = filtered(slow, slow.get_column("period").is_not_null())
    books.rows.load(
        [
            *counted.select_seq(tally_key_of_columns()).to_series().to_list(),
            *rows_of(slow.get_column("data").drop_nulls()),
        ]
    )
    last = slow.get_column("at").item(-1)
    places = slow.select_seq("kind", "account").iter_rows()
    watched = set(books.due(last)) if any(starmap(concerns_all, places)) else set()
    watched.update(account for account in slow.get_column("account").unique() if account)
    for rated in _dicts(slow):
        due: Sequence[str] = ()
        if concerns_all(rated["kind"], rated["account"]):
            due = _due_of(watched, books, rated["at"])
        step = fold_row(rated, books, due)
        postings.extend(step.postings)
        alerts.extend(step.alerts)
        refused.extend(step.refused)
    return postings, alerts, refused


def _due_of(watched: set[str], books: Books, clock: int) -> list[str]:
    found = []
    for account in watched:
        row = books.account(account)
        if row is not None and row.due is not None and row.due <= clock:
            found.append(account)
    return sorted(found)


def _dicts(rated: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values, amounts in units."""
    return rated.with_columns_seq(pl.col(name).to_physical() for name in _UNITS).to_dicts()
