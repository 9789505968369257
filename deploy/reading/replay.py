"""I4, I5 and I7: the log folded again gives what is there, in any cutting, with any ticks."""

import random
from collections.abc import Sequence
from typing import Final

import polars as pl

from deploy.reading.compare import compare_rows, compare_tables
from deploy.reading.evidence import Evidence
from deploy.reading.held import held_accounts
from deploy.reading.recompute import (
    Balanced,
    Rated,
    balance,
    concatenated,
    even_cuts,
    random_cuts,
    rate,
)
from deploy.reading.report import Invariant
from projections.balances.postings import ORDINAL_BITS
from schemas.frames import LEDGER_SCHEMA, RATED_SCHEMA, RatedKind, Vector

ADDED_TICKS: Final = 200
_PLACE: Final = ("journal_offset", "row", "ordinal")
_CONTENT: Final = [name for name in LEDGER_SCHEMA if name not in _PLACE]


def below(rows: pl.DataFrame, reached: Vector) -> pl.DataFrame:
    """The rows before a position."""
    return rows.filter(_is_below(reached))


def beyond(rows: pl.DataFrame, reached: Vector) -> pl.DataFrame:
    """The rows at a position and after it."""
    return rows.filter(~_is_below(reached))


def _is_below(reached: Vector) -> pl.Expr:
    offset, row, ordinal = reached
    at_offset, at_row = pl.col("journal_offset"), pl.col("row")
    earlier_row = (at_row < row) | ((at_row == row) & (pl.col("ordinal") < ordinal))
    return (at_offset < offset) | ((at_offset == offset) & earlier_row)


def ledger_reach(evidence: Evidence) -> Vector:
    """Up to where the ledger is written when balances stand where they stand."""
    offset, row, ordinal = evidence.balances.position.reached
    return (offset, row, ordinal << ORDINAL_BITS)


def journal_of(evidence: Evidence) -> pl.DataFrame:
    """The journal rows below rating's position."""
    until = evidence.rating.position.offset
    return evidence.journal.rows.filter(pl.col("journal_offset") < until)


def check_replay(evidence: Evidence, rated: Rated, balanced: Balanced, found: Invariant) -> None:
    """I4: `rated` and `balanced` are the reference's; they must be what the log and Redis hold."""
    partition, rating, balances = evidence.partition, evidence.rating, evidence.balances
    for name, log in (("rated", evidence.rated), ("ledger", evidence.ledger)):
        for problem in log.problems:
            found.differ(f"{name} [{partition}] {problem}")
    if rating.position.vector != evidence.journal.vector_at:
        found.differ(
            f"rating [{partition}] has covered {rating.position.vector}, the journal up to its"
            f" position covers {evidence.journal.vector_at}"
        )
    if rating.position.clock != rated.clock:
        found.differ(f"rating [{partition}] clock {rating.position.clock}, not {rated.clock}")
    if balances.position.reached != evidence.rated.reached_at:
        found.differ(
            f"balances [{partition}] have reached {balances.position.reached}, the rated log up to"
            f" their position {evidence.rated.reached_at}"
        )
    lines = below(evidence.rated.rows, rating.position.reached)
    postings = below(evidence.ledger.rows, ledger_reach(evidence))
    compare_tables("rated", rated.lines, lines, found.differ, partition)
    compare_tables("ledger", balanced.ledger, postings, found.differ, partition)
    compare_rows("rating", rated.rows, rating.rows, found.differ, partition)
    compare_rows("balances", balanced.rows, balances.rows, found.differ, partition)
    _check_due_index(evidence, found)
    found.count(
        rated_rows=lines.height,
        postings=postings.height,
        rating_rows=len(rating.rows),
        balance_rows=len(balances.rows),
        due=len(balances.due),
    )


def _check_due_index(evidence: Evidence, found: Invariant) -> None:
    """The index of what falls due must say what the rows say: what it misses would never happen."""
    expected = sorted(
        (at, key)
        for account in held_accounts(evidence.balances.rows).values()
        for at, key in account.due
    )
    actual = sorted(evidence.balances.due)
    if expected == actual:
        return
    for at, key in sorted(set(expected) ^ set(actual)):
        side = "is not in the index" if (at, key) in expected else "is in the index alone"
        found.differ(f"balances [{evidence.partition}] {key} due at {at} {side}")


def check_cutting(
    evidence: Evidence, rated: Rated, balanced: Balanced, seed: int, found: Invariant
) -> None:
    """I5: the columnar folds, over a cutting drawn from the seed, give the reference's result."""
    partition, journal = evidence.partition, journal_of(evidence)
    cuts = list(random_cuts(journal.height, seed))
    anew = rate(journal, iter(cuts), reference=False)
    compare_tables("rated, cut anew", rated.lines, anew.lines, found.differ, partition)
    compare_rows("rating, cut anew", rated.rows, anew.rows, found.differ, partition)
    if anew.clock != rated.clock:
        found.differ(f"rating [{partition}], cut anew: clock {anew.clock}, not {rated.clock}")
    lines = below(rated.lines, evidence.balances.position.reached)
    more = list(random_cuts(lines.height, seed + 1))
    drawn = balance(lines, iter(more), reference=False)
    compare_tables("ledger, cut anew", balanced.ledger, drawn.ledger, found.differ, partition)
    compare_rows("balances, cut anew", balanced.rows, drawn.rows, found.differ, partition)
    _compare_alerts(balanced, drawn, partition, found)
    found.count(batches=len(cuts) + len(more))


def _compare_alerts(balanced: Balanced, drawn: Balanced, partition: int, found: Invariant) -> None:
    want = [alert.to_cloudevent() for alert in balanced.alerts]
    have = [alert.to_cloudevent() for alert in drawn.alerts]
    if want != have:
        found.differ(f"alerts [{partition}], cut anew: {len(have)}, expected {len(want)} the same")


def check_ticks(
    evidence: Evidence, rated: Rated, balanced: Balanced, seed: int, found: Invariant
) -> None:
    """I7: without any tick, and with more of them, the same postings and alerts come about.

    What fell due after the last record must happen in each run, so each ends with a tick there.
    """
    lines = below(rated.lines, evidence.balances.position.reached)
    last = _last_tick(lines)
    ticks = lines.get_column("kind") == int(RatedKind.TICK)
    plain = _one_more(balanced, last)
    without = _balance(pl.concat([lines.filter(~ticks), last]))
    more = _more_ticks(lines, seed)
    with_more = _balance(pl.concat([more, last]))
    for name, other in (("without ticks", without), ("with more ticks", with_more)):
        _compare_contents(name, plain, other, evidence.partition, found)
    found.count(ticks=int(ticks.sum()), ticks_added=more.height - lines.height)


def _one_more(balanced: Balanced, tick: pl.DataFrame) -> Balanced:
    """The reference's result, gone on by one tick."""
    more = balance(tick, even_cuts(tick.height), reference=True, rows=balanced.rows)
    return Balanced(
        pl.concat([balanced.ledger, more.ledger]),
        [*balanced.alerts, *more.alerts],
        balanced.refused,
        more.rows,
    )


def _balance(lines: pl.DataFrame) -> Balanced:
    return balance(lines, even_cuts(lines.height), reference=False)


def _last_tick(lines: pl.DataFrame) -> pl.DataFrame:
    if not lines.height:
        return lines
    offset = lines.item(lines.height - 1, "journal_offset")
    return _ticks([(offset + 1, 0, 0)], [lines.item(lines.height - 1, "at")])


def _ticks(places: Sequence[Vector], instants: Sequence[int]) -> pl.DataFrame:
    offsets, rows, ordinals = zip(*places, strict=True)
    made = pl.DataFrame(
        {
            "journal_offset": offsets,
            "row": rows,
            "ordinal": ordinals,
            "kind": [int(RatedKind.TICK)] * len(places),
            "at": instants,
        }
    )
    empty = pl.DataFrame(schema=RATED_SCHEMA)
    return pl.concat([empty, made.cast({"kind": pl.UInt8})], how="diagonal")


def _more_ticks(lines: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Ticks right after chosen records, each at any time until the next record's."""
    generator = random.Random(seed)  # noqa: S311 - reproducible, no secret
    record = pl.struct("journal_offset", "row")
    ends = lines.select((record != record.shift(-1)).fill_null(value=True).arg_true()).to_series()
    chosen = sorted(generator.sample(ends.to_list(), min(ADDED_TICKS, ends.len())))
    parts, start = [], 0
    for index in chosen:
        parts.append(lines.slice(start, index + 1 - start))
        start = index + 1
        now = lines.item(index, "at")
        following = lines.item(start, "at") if start < lines.height else now
        offset, row, ordinal = lines.select(_PLACE).row(index)
        parts.append(_ticks([(offset, row, ordinal + 1)], [generator.randint(now, following)]))
    parts.append(lines.slice(start))
    return pl.concat(parts)


def _compare_contents(
    name: str, plain: Balanced, other: Balanced, partition: int, found: Invariant
) -> None:
    """Postings without their places, in each account's order, and the ids of alerts."""
    want, have = _contents(plain.ledger), _contents(other.ledger)
    if not want.equals(have):
        found.differ(f"ledger [{partition}] {name}: {_where_they_part(want, have)}")
    ids, other_ids = concatenated(plain.alerts).keys(), concatenated(other.alerts).keys()
    for missing in sorted(ids - other_ids):
        found.differ(f"alerts [{partition}] {name}: {missing} is missing")
    for added in sorted(other_ids - ids):
        found.differ(f"alerts [{partition}] {name}: {added} is not expected")


def _contents(ledger: pl.DataFrame) -> pl.DataFrame:
    return ledger.select(_CONTENT).sort("account", maintain_order=True)


def _where_they_part(want: pl.DataFrame, have: pl.DataFrame) -> str:
    for left, right in zip(want.iter_rows(named=True), have.iter_rows(named=True), strict=False):
        if left != right:
            name = next(column for column in left if left[column] != right[column])
            return f"{left['account']}: {name} {right[name]}, expected {left[name]}"
    return f"{have.height} postings, expected {want.height}"
