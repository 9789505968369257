"""Rating a whole batch of journal rows at once; the same result as `processors.rating.reference`.

A batch is cut at corrections of usage (voids, replays, backfills), which are rare and go by the
plain way; so do usage that was backfilled before, and short stretches between. The rest goes in
three steps: decide what each event is rated by, from document to document in the order of the log
(`decisions`); price all lines (`costs`); gather the columns of the rated rows (`gather`).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import polars as pl

from processors.rating.backfilled import had_backfills
from processors.rating.costs import price_lines
from processors.rating.decisions import decide
from processors.rating.documents import (
    Correction,
    Taken,
    apply_to_accounts,
    apply_to_catalog,
    read_document,
)
from processors.rating.gather import gather, rated_frame
from processors.rating.known import Known
from processors.rating.lines import Decision, Lines, Usage
from processors.rating.prefetch import rows_of_accounts, rows_of_document
from processors.rating.rated import Rated
from processors.rating.reference import ReferenceRating
from processors.rating.waiting import keep_waiting
from projections.rates.rows import RatingRow, event_key
from projections.rows import Rows
from schemas.documents import (
    Account,
    AmendContract,
    Backfill,
    Contract,
    Document,
    Product,
    RateCard,
    TerminateContract,
)
from schemas.frames import RATED_SCHEMA, JournalKind, RatedKind
from schemas.reasons import Refusal
from schemas.tables import filtered, stacked

FEW: Final = 24
"""So many rows the plain way rates sooner."""
_DOCUMENT: Final = Decision(RatedKind.DOCUMENT)
_TICK: Final = Decision(RatedKind.TICK)
_CONCERNING: Final = (
    Product, RateCard, Account, Contract, AmendContract, TerminateContract
)  # fmt: skip
"""Documents after which usage may be rated otherwise."""
_Documents = dict[int, Document | Refusal]


def rate(
    batch: pl.DataFrame, clock: int, rows: Rows[RatingRow], known: Known | None = None
) -> tuple[pl.DataFrame, int]:
    """Rated rows of `batch` (JOURNAL_SCHEMA with `journal_offset` and `row`, in log order).

    `clock` is journal time before it. Gives RATED_SCHEMA in position order, and journal time
    after it. Who rates batch after batch over the same rows passes what is `known` of them.
    """
    if not batch.height:
        return pl.DataFrame(schema=RATED_SCHEMA), clock
    known = Known(rows) if known is None else known
    known.trim()
    batch = batch.with_columns_seq(
        at=pl.max_horizontal(pl.col("received_at").cum_max(), pl.lit(clock, pl.Int64))
    )
    documents = _documents(batch)
    found = (document for document in documents.values() if not isinstance(document, Refusal))
    known.rows.load(key for document in found for key in rows_of_document(document))
    parts: list[pl.DataFrame] = []
    singles = _singles(batch, documents, known.rows)
    for columnar, stretches in groupby(_stretches(batch.height, singles), key=itemgetter(2)):
        places = [(start, stop) for start, stop, _ in stretches]
        if columnar:
            for start, stop in places:
                inner = {at - start: found for at, found in documents.items() if start <= at < stop}
                parts.append(_in_columns(batch.slice(start, stop - start), inner, known))
        else:
            start, stop = places[0][0], places[-1][1]
            parts.append(rated_frame(_plainly(batch.slice(start, stop - start), known)))
    rated = parts[0] if len(parts) == 1 else stacked(parts)
    return rated, batch.get_column("at").item(-1)


def _documents(batch: pl.DataFrame) -> _Documents:
    """The documents of the batch, by place."""
    kinds = batch.get_column("kind")
    places = (kinds >= int(JournalKind.CREDITS)).arg_true().to_list()
    data = batch.get_column("data")
    return {at: read_document(data[at]) for at in places}


def _singles(batch: pl.DataFrame, documents: _Documents, rows: Rows[RatingRow]) -> list[int]:
    """The places of rows that go the plain way: corrections, and usage that was backfilled."""
    found = {at for at, document in documents.items() if isinstance(document, Correction)}
    accounts = batch.get_column("account").drop_nulls().unique(maintain_order=True).to_list()
    entering = {one.account for one in documents.values() if isinstance(one, Backfill)}
    marked = had_backfills(accounts, rows) | entering
    if marked:
        of_marked = pl.col("account").is_in(sorted(marked))
        usage = filtered(
            batch.with_row_index("at_row"),
            (pl.col("kind") == int(JournalKind.USAGE)) & of_marked,
        )
        keys = usage.select_seq("at_row", "account", "source", "id").rows()
        rows.load(event_key("b", *key) for _, *key in keys)
        found.update(
            at
            for at, account, *key in keys
            if account in entering or rows.get(event_key("b", account, *key)) is not None
        )
    return sorted(found)


def _stretches(height: int, singles: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
    """(start, stop, whether in columns): a batch cut at `singles`, each by itself."""
    start = 0
    for at in singles:
        if at > start:
            yield start, at, at - start > FEW
        yield at, at + 1, False
        start = at + 1
    if start < height:
        yield start, height, height - start > FEW


def _plainly(stretch: pl.DataFrame, known: Known) -> list[Rated]:
    rated: list[Rated] = []
    reference = ReferenceRating(known.rows, 0, known.catalog)
    known.rows.load(rows_of_accounts(stretch.get_column("account").drop_nulls()))
    for row in stretch.iter_rows(named=True):
        rated += reference.rate({**row, "received_at": row["at"]})
        if row["kind"] == JournalKind.CATALOG:
            known.forget(None)
        elif row["kind"] == JournalKind.CREDITS:
            known.forget(row["account"])
        if row["account"] is not None:
            known.keys.forget(row["account"])
    return rated


def _in_columns(batch: pl.DataFrame, documents: _Documents, known: Known) -> pl.DataFrame:
    contracts = batch.get_column("contract")
    usage = Usage(
        batch.get_column("type"),
        batch.get_column("account").to_list(),
        batch.get_column("time").to_list(),
        None if contracts.null_count() == len(contracts) else contracts.to_list(),
        batch.get_column("data").to_list(),
    )
    lines = _decide(batch, documents, usage, known).in_order()
    costs = price_lines(lines, usage.accounts, known)
    keep_waiting(lines, batch, known)
    return gather(batch, lines, costs, usage, known)


def _decide(batch: pl.DataFrame, documents: _Documents, usage: Usage, known: Known) -> Lines:
    """The rows of the batch, from one document that concerns rating to the next."""
    lines, start = Lines(), 0
    for at in (batch.get_column("kind") != int(JournalKind.USAGE)).arg_true().to_list():
        document = documents.get(at)
        if document is None:
            lines.add_all((at,), known.decisions.number(_TICK))
            continue
        if isinstance(document, _CONCERNING):
            decide(start, at, usage, known, lines)
            start = at + 1
        taken = _take(document, batch.row(at, named=True), known)
        if isinstance(taken, Refusal):
            refused = Decision(RatedKind.REFUSED, reason=str(taken.reason))
            lines.add_all((at,), known.decisions.number(refused))
        elif taken is Taken.PASSED_ON:
            lines.add_all((at,), known.decisions.number(_DOCUMENT))
    decide(start, batch.height, usage, known, lines)
    return lines


def _take(
    document: Document | Refusal, journal: Mapping[str, Any], known: Known
) -> Refusal | Taken:
    """Apply a document that is no correction."""
    if isinstance(document, Refusal):
        return document
    clock, account = journal["at"], journal["account"]
    if journal["kind"] == JournalKind.CATALOG:
        known.forget(None)
        return apply_to_catalog(document, known.catalog, clock, known.rows)
    if isinstance(document, _CONCERNING):
        known.forget(account)
    bare = Rated(journal["journal_offset"], journal["row"], 0, RatedKind.TICK, clock, account)
    taken = apply_to_accounts(document, known.catalog, bare, known.rows)
    assert not isinstance(taken, list), document
    return taken
