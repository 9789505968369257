"""Every invariant, broken on purpose in the evidence of one partition: exactly it is reported."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import polars as pl
import pytest

from deploy.reading.prove import prove
from deploy.reading.report import Findings
from processors.rating import columnar as rating
from projections.balances import columnar as balances
from projections.balances.row import BalanceRow
from projections.balances.wire import decode_row, encode_row
from schemas.frames import (
    FrameKind,
    JournalHeader,
    RatedKind,
    decode_journal,
    decode_ledger,
    decode_rated,
    encode,
)
from tests.deploy.reading.pipeline import BATCH, Log, Logs, admit, fold, usual_traffic


def findings(logs: Logs) -> Findings:
    """What is found in the evidence as it stands."""
    return prove(logs.evidence(), 7)


def broken(logs: Logs) -> set[str]:
    """The invariants that do not hold."""
    return {code for code, invariant in findings(logs).items() if not invariant.holds}


def usual(**faults: Sequence[int]) -> Logs:
    """The usual traffic, admitted and folded."""
    return fold(admit(usual_traffic(), **faults))  # type: ignore[arg-type]


def change_frame(
    log: Log, kind: FrameKind, index: int, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """Replace the rows of one frame, its span kept."""
    offset, value = log[index]
    frame: Any = (decode_rated if kind is FrameKind.RATED else decode_ledger)(value)
    log[index] = (offset, encode(kind, frame.header, change(frame.rows)))


def first_line(rows: pl.DataFrame) -> int:
    """The index of a line in a rated frame."""
    return int(rows.get_column("kind").to_list().index(int(RatedKind.LINE)))


def hot_row(logs: Logs) -> BalanceRow:
    """The hot row of an account."""
    row = decode_row(logs.balances.rows["a:a0"])
    assert isinstance(row, BalanceRow)
    return row


def with_lines(log: Log) -> int:
    """The index of a rated frame with lines in it."""
    for index, (_, value) in enumerate(log):
        if int(RatedKind.LINE) in decode_rated(value).rows.get_column("kind"):
            return index
    raise AssertionError("no lines")


def with_consumption(log: Log) -> int:
    """The index of a ledger frame that has consumption in it."""
    for index, (_, value) in enumerate(log):
        if "consumed" in decode_ledger(value).rows.get_column("posting"):
            return index
    raise AssertionError("no consumption")


def test_an_unbroken_partition_holds_every_invariant() -> None:
    """Duplicates, conflicts, malformed and unrated usage, expiry, overage and alerts included."""
    found = findings(usual())
    assert {code for code, invariant in found.items() if not invariant.holds} == set()
    figures = found["I1"].figures
    assert figures["raw_usage"] == 166
    refusals = ("duplicate", "conflict", "malformed_json", "negative_quantity")
    assert sum(figures[name] for name in ("accepted", "ticks", *refusals)) == 166
    assert [figures[name] for name in refusals] == [12, 6, 5, 5]
    assert (figures["lines"], figures["unrated"]) == (120, 10)
    assert found["I3"].figures["grants"] == 6
    assert found["I6"].figures["alerts"] > 6


def test_repeated_frames_and_alerts_change_nothing() -> None:
    """What a crash writes again is dropped by position and by id."""
    logs = usual()
    for name in ("journal", "rated", "ledger"):
        log: Log = getattr(logs, name)
        log.extend((len(log) + index, value) for index, (_, value) in enumerate(log[-3:]))
    repeated = logs.alerts[-4:]
    logs.alerts += repeated
    found = findings(logs)
    assert {code for code, invariant in found.items() if not invariant.holds} == set()
    assert found["I6"].figures["repeats_dropped"] == len(repeated)


def test_i1_a_raw_record_without_an_outcome() -> None:
    """A refused offset that is missing in the journal's header is a lost record."""
    logs = usual()
    for index, (offset, value) in enumerate(logs.journal):
        frame = decode_journal(value)
        if frame.header.refused:
            header = JournalHeader(frame.header.after, frame.header.upto, frame.header.refused[1:])
            logs.journal[index] = (offset, encode(FrameKind.JOURNAL, header, frame.rows))
            break
    found = findings(logs)
    assert {code for code, invariant in found.items() if not invariant.holds} == {"I1"}
    assert "no outcome in the journal" in found["I1"].differences[0]


def test_i1_two_outcomes_of_one_record() -> None:
    """An accepted record that is refused as well."""
    logs = usual()
    offset, value = logs.journal[-1]
    frame = decode_journal(value)
    accepted = frame.rows.get_column("offset").item(0)
    refused = [*frame.header.refused, (2, accepted, "too_old")]
    header = JournalHeader(frame.header.after, frame.header.upto, refused)
    logs.journal[-1] = (offset, encode(FrameKind.JOURNAL, header, frame.rows))
    assert broken(logs) == {"I1"}


def test_i1_an_acknowledged_record_that_the_journal_lacks() -> None:
    """The vector in Redis must not pass the journal."""
    logs = usual()
    catalog, credits_, usage = logs.acknowledged
    logs.acknowledged = (catalog, credits_, usage + 1)
    assert broken(logs) == {"I1"}


def test_i1_an_event_that_is_not_the_one_that_was_sent() -> None:
    """The journal's content is compared with the raw record's."""
    logs = usual()
    usage = logs.traffic.sent[2]
    index = next(i for i, record in enumerate(usage) if b'"e0"' in (record.value or b""))
    value = (usage[index].value or b"").replace(b'"e0"', b'"e9999"')
    usage[index] = msgspec.structs.replace(usage[index], value=value)
    found = findings(logs)
    assert "the journal holds another event" in found["I1"].differences[0]


def test_i1_a_refused_record_that_was_well_formed() -> None:
    """A record refused for its content must be refused again for the same reason."""
    logs = usual()
    usage = logs.traffic.sent[2]
    index = next(i for i, r in enumerate(usage) if (r.value or b"").endswith(b'": '))
    usage[index] = msgspec.structs.replace(usage[index], value=usage[0].value)
    assert broken(logs) == {"I1"}


def test_i1_a_tail_of_the_journal_that_was_lost() -> None:
    """The raw records are acknowledged, but their outcome is gone, and with it what was folded."""
    logs = usual()
    del logs.journal[-2:]
    assert "I1" in broken(logs)


def test_i2_a_key_that_was_folded_twice() -> None:
    """A duplicate that was accepted, though its key was claimed."""
    usage = usual_traffic().sent[2]
    doubled = next(
        index for index in range(1, len(usage)) if usage[index].value == usage[index - 1].value
    )
    found = findings(usual(forget=[doubled]))
    assert {code for code, invariant in found.items() if not invariant.holds} == {"I2"}
    assert "was folded before" in found["I2"].differences[0]


def test_i2_an_event_that_was_dropped_for_nothing() -> None:
    """A record refused as a duplicate of nothing is lost usage."""
    usage = usual_traffic().sent[2]
    last = max(index for index, r in enumerate(usage) if b'"e119"' in (r.value or b""))
    found = findings(usual(drop=[last]))
    assert {code for code, invariant in found.items() if not invariant.holds} == {"I2"}
    assert "it repeats nothing" in found["I2"].differences[0]


def test_i3_a_row_that_lost_credits() -> None:
    """A grant whose parts do not sum up also differs from what the ledger posts to it (I4)."""
    logs = usual()
    row = hot_row(logs)
    row.grants[0].consumed -= 1
    logs.balances.rows["a:a0"] = encode_row(row)
    assert broken(logs) == {"I3", "I4"}


def test_i4_a_row_that_differs_without_any_credits_lost() -> None:
    """One threshold too many among the fired ones."""
    logs = usual()
    row = hot_row(logs)
    row.fired["*", "other", "1", ""] = True
    logs.balances.rows["a:a0"] = encode_row(row)
    assert broken(logs) == {"I4"}


@pytest.mark.parametrize("stage", ["rating", "balances"])
def test_i4_a_row_that_is_missing(stage: str) -> None:
    """Rows of either stage; a balance row is also missed by the ledger's sums."""
    logs = usual()
    rows = getattr(logs, stage).rows
    del rows[max(rows)]
    assert broken(logs) == ({"I4"} if stage == "rating" else {"I3", "I4"})


def test_i4_a_line_that_is_missing() -> None:
    """An event of two lines would still end; this one has one, so it ends as nothing (I1)."""
    logs = usual()
    index = with_lines(logs.rated)
    change_frame(logs.rated, FrameKind.RATED, index, lambda rows: rows.slice(0, rows.height - 1))
    assert {"I1", "I4"} <= broken(logs)


def test_i4_a_line_that_is_doubled() -> None:
    """The same line at the next ordinal: I1 has no quarrel with it, folding again has."""
    logs = usual()
    index = with_lines(logs.rated)

    def double(rows: pl.DataFrame) -> pl.DataFrame:
        at = first_line(rows)
        again = rows.slice(at, 1).with_columns(pl.col("ordinal") + 1)
        return pl.concat([rows.slice(0, at + 1), again, rows.slice(at + 1)])

    change_frame(logs.rated, FrameKind.RATED, index, double)
    assert broken(logs) == {"I3", "I4"}


def test_i4_an_amount_that_was_changed_in_the_ledger() -> None:
    """It no longer sums to the rows either (I3)."""
    logs = usual()
    index = with_consumption(logs.ledger)
    change_frame(
        logs.ledger,
        FrameKind.LEDGER,
        index,
        lambda rows: rows.with_columns((pl.col("amount") + 1).cast(pl.Decimal(38, 9))),
    )
    assert broken(logs) == {"I3", "I4"}


def test_i4_a_record_that_only_the_time_of_changed() -> None:
    """A posting's journal time is part of what must be identical."""
    logs = usual()
    change_frame(logs.ledger, FrameKind.LEDGER, 0, lambda rows: rows.with_columns(pl.col("at") + 1))
    assert broken(logs) == {"I4"}


def test_i4_a_gap_in_the_rated_log() -> None:
    """A frame that is gone leaves a gap, which is named."""
    logs = usual()
    del logs.rated[2]
    found = findings(logs)
    assert not found["I4"].holds
    assert any("a gap before" in difference for difference in found["I4"].differences)


def test_i4_a_position_that_the_log_does_not_give() -> None:
    """Journal time is kept in rating's position."""
    logs = usual()
    position = msgspec.structs.replace(logs.rating.position, clock=1)
    logs.rating = dataclasses.replace(logs.rating, position=position)
    assert broken(logs) == {"I4"}


def test_i5_a_columnar_fold_that_depends_on_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rating that loses the last row of each batch."""
    real = rating.rate

    def lossy(batch: pl.DataFrame, clock: int, rows: Any) -> tuple[pl.DataFrame, int]:
        lines, clock = real(batch, clock, rows)
        return lines.slice(0, max(lines.height - 1, 0)), clock

    logs = usual()
    monkeypatch.setattr(rating, "rate", lossy)
    assert broken(logs) == {"I5"}


def test_i6_an_alert_that_was_never_sent() -> None:
    """The reference's set is larger than the topic's."""
    logs = usual()
    del logs.alerts[3]
    assert broken(logs) == {"I6"}


def test_i6_an_alert_that_nothing_caused() -> None:
    """The topic's set is larger than the reference's."""
    logs = usual()
    logs.alerts.append(logs.alerts[0].replace(b'"id":"', b'"id":"f'))
    assert broken(logs) == {"I6"}


def test_i6_one_id_with_two_contents() -> None:
    """A repeat must repeat."""
    logs = usual()
    logs.alerts.append(logs.alerts[0].replace(b'"amount":"1', b'"amount":"2'))
    assert broken(logs) == {"I6"}


def test_i7_a_fold_that_ticks_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fold that drops a posting in each batch that has a tick; its cutting is not looked at."""
    real = balances.fold

    def ticking(batch: pl.DataFrame, rows: Any) -> balances.Folded:
        folded = real(batch, rows)
        ticks = int((batch.get_column("kind") == int(RatedKind.TICK)).sum())
        lost = min(max(ticks - 1, 0), folded.ledger.height)
        return dataclasses.replace(folded, ledger=folded.ledger.slice(lost))

    logs = usual()
    monkeypatch.setattr(balances, "fold", ticking)
    assert "I7" in broken(logs)


def test_lag_is_compared_up_to_the_positions() -> None:
    """Outputs that are ahead of a committed position are no difference."""
    ahead = usual()
    batches = len(ahead.journal) // BATCH - 2
    behind = fold(dataclasses.replace(ahead, journal=ahead.journal[: batches * BATCH]))
    ahead = usual()
    behind.journal = ahead.journal
    behind.rated, behind.ledger, behind.alerts = ahead.rated, ahead.ledger, ahead.alerts
    assert broken(behind) == set()


def test_retention_of_the_raw_topic_is_noted() -> None:
    """What was cut off is not compared, and the report says so; the journal's own word remains."""
    logs = usual()
    logs.raw_low = 20
    found = findings(logs)
    assert {code for code, invariant in found.items() if not invariant.holds} == set()
    assert "begins at 20" in found["I1"].notes[0]


def test_a_journal_without_its_start_proves_nothing() -> None:
    """Nothing can be folded from zero: that is no silence but a difference."""
    logs = usual()
    logs.journal_low = 2
    assert {"I3", "I4", "I5", "I6", "I7"} <= broken(logs)


def test_an_empty_partition_holds() -> None:
    """Before the first record."""
    logs = fold(admit(usual_traffic(accounts=0, events=0)))
    assert broken(logs) == set()
