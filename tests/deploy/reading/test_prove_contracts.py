"""The invariants over the whole domain: they hold, and what breaks them is reported."""

from functools import cache

import polars as pl

from projections.balances.wire import RetiredRow, TallyRow, decode_row, encode_row
from schemas.frames import FrameKind, Source, decode_ledger
from tests.deploy.reading.contracts import DAY_SECONDS, contract_traffic, kinds
from tests.deploy.reading.pipeline import Logs, Traffic, admit, fold
from tests.deploy.reading.test_prove import broken, change_frame, findings


@cache
def traffic() -> Traffic:
    """The traffic, whose voids need a fold."""
    return contract_traffic()


def contracts() -> Logs:
    """The traffic, admitted and folded."""
    return fold(admit(traffic()))


def frame_with(logs: Logs, posting: str) -> int:
    """The index of a ledger frame that has such a posting."""
    for index, (_, value) in enumerate(logs.ledger):
        if posting in decode_ledger(value).rows.get_column("posting"):
            return index
    raise AssertionError(posting)


def test_contracts_corrections_and_endings_hold_every_invariant() -> None:
    """Every posting comes about, and grants are retired."""
    logs = contracts()
    found = findings(logs)
    differing = {code: each.differences for code, each in found.items() if not each.holds}
    assert differing == {}
    assert {"Contract", "purchase", "void_usage", "backfill"} <= kinds(logs.traffic)
    posted = set(logs.evidence().ledger.rows.get_column("posting"))
    assert posted == {
        "issued",
        "adjusted",
        "consumed",
        "reopened",
        "overage",
        "repaid",
        "settled",
        "expired",
        "rolled_over",
        "received",
        "voided",
        "refunded",
    }
    figures = found["I3"].figures
    assert figures["fees"] > 0
    assert figures["retired"] > 30


def test_i2_a_backfill_of_what_was_priced_before() -> None:
    """Usage that came as usage too is charged twice."""
    sent = Traffic(tuple(list(log) for log in traffic().sent))  # type: ignore[arg-type]
    usage = next(r for r in sent.sent[Source.USAGE] if b'"e4"' in (r.value or b""))
    event = (usage.value or b"").decode()
    sent.document(42 * DAY_SECONDS, "backfill", id="again", account="acme", event=event)
    found = findings(fold(admit(sent)))
    assert {code for code, each in found.items() if not each.holds} == {"I2"}
    assert "by a backfill, and otherwise too" in found["I2"].differences[0]


def test_i3_overage_that_no_multiplier_explains() -> None:
    """A line's overage, changed in the ledger alone."""
    logs = contracts()
    of_line = pl.col("posting") == "overage"
    amount = pl.when(of_line).then(pl.col("amount") * 7).otherwise(pl.col("amount"))

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(amount.cast(pl.Decimal(38, 9)))

    change_frame(logs.ledger, FrameKind.LEDGER, frame_with(logs, "overage"), change)
    found = findings(logs)["I3"]
    assert any("costs" in difference for difference in found.differences), found.differences


def test_i3_a_retired_grant_that_is_lost() -> None:
    """Its postings then go to a grant without a row."""
    logs = contracts()
    retired = [key for key in logs.balances.rows if key.startswith("g:")]
    del logs.balances.rows[retired[0]]
    found = findings(logs)["I3"]
    assert any("retired grants" in difference for difference in found.differences)
    assert any("which has no row" in difference for difference in found.differences)


def test_i3_a_retired_grant_that_changed() -> None:
    """Conservation is of all grants that there ever were."""
    logs = contracts()
    key = next(key for key in logs.balances.rows if key.startswith("g:"))
    row = decode_row(logs.balances.rows[key])
    assert isinstance(row, RetiredRow)
    row.grant.expired += 1
    logs.balances.rows[key] = encode_row(row)
    assert broken(logs) == {"I3", "I4"}


def test_i3_a_tally_that_would_give_back_too_much() -> None:
    """No more can return to a grant than was consumed of it."""
    logs = contracts()
    for key, raw in logs.balances.rows.items():
        row = decode_row(raw)
        if isinstance(row, TallyRow) and row.drawn:
            row.drawn[next(iter(row.drawn))] += 10**15
            logs.balances.rows[key] = encode_row(row)
            break
    assert broken(logs) == {"I3", "I4"}


def test_i4_what_is_due_is_missing_in_the_index() -> None:
    """It would never happen."""
    logs = contracts()
    assert len(logs.balances.due) == 2
    logs.balances.due.pop()
    assert broken(logs) == {"I4"}
