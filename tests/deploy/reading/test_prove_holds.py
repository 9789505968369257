"""The invariants over holds, and what is reported where their rows are wrong."""

from collections.abc import Iterator

import pytest

from deploy.reading.prove import prove
from deploy.reading.report import Findings
from projections.balances.hold_rows import HoldRow, OpenHoldsRow
from projections.balances.row import BalanceRow
from projections.balances.wire import AnyRow, decode_row, encode_row
from tests.deploy.reading.pipeline import DAY, Logs, Traffic, admit, fold, usual_traffic


def with_holds() -> Traffic:
    """Usage beside holds that are captured, released, over, forgotten and open at the end."""
    traffic = usual_traffic()
    last = traffic.sent[2][-1].received_at - traffic.start
    start = last // 1_000_000 + 1
    later = DAY // 1_000_000
    traffic.document(start, "Grant", id="more", account="a0", type="prepaid", amount="100", **_NOW)
    for number in range(8):
        name, lasts = f"h{number}", ("PT10M", "P2D")[number % 2]
        traffic.document(
            start + number, "place_hold", id=name, account="a0", product="tokens", amount="7.5",
            expires_in=lasts,
        )  # fmt: skip
        traffic.usage(start + number, "a0", f"beside-{number}", 3)
    for number in (0, 1):
        traffic.document(
            start + 20 + number, "capture_hold", id="c", account="a0", hold=f"h{number}", amount="2"
        )
    traffic.document(start + 30, "release_hold", id="r", account="a0", hold="h3")
    traffic.document(start + 31, "capture_hold", id="again", account="a0", hold="h3")
    traffic.document(start + 32, "place_hold", id="all", account="a0", product="tokens",
                     amount="1000000")  # fmt: skip
    traffic.tick(start + 1_000)
    traffic.tick(start + later + 2_000)
    traffic.document(start + later + 2_001, "place_hold", id="h0", account="a0", product="tokens",
                     amount="1", expires_in="P1D")  # fmt: skip
    traffic.tick(start + later + 2_002)
    return traffic


_NOW = {"effective_at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def logs() -> Logs:
    """The traffic, admitted and folded."""
    return fold(admit(with_holds()))


def broken(findings: Findings) -> set[str]:
    """The invariants that do not hold."""
    return {code for code, invariant in findings.items() if not invariant.holds}


def rows_of(logs: Logs, prefix: str) -> dict[str, AnyRow]:
    """The rows of a kind."""
    rows = logs.balances.rows
    return {key: decode_row(raw) for key, raw in rows.items() if key.startswith(prefix)}


def open_holds(logs: Logs) -> Iterator[tuple[str, HoldRow]]:
    """The holds that are open at the end, by their keys."""
    for key, row in rows_of(logs, "h:").items():
        assert isinstance(row, HoldRow)
        if row.ended_at is None:
            yield key, row


def test_holds_keep_every_invariant(logs: Logs) -> None:
    """Open ones, ended ones that are remembered, and such as are gone; with any cut, any ticks."""
    findings = prove(logs.evidence(), 7)
    assert broken(findings) == set()
    assert findings["I3"].figures["open_holds"] == 3
    assert sorted(dict(open_holds(logs))) == ["h:a0|h0", "h:a0|h5", "h:a0|h7"]
    assert sorted(rows_of(logs, "h:")) == ["h:a0|h0", "h:a0|h5", "h:a0|h7"]
    hot = decode_row(logs.balances.rows["a:a0"])
    assert isinstance(hot, BalanceRow)
    assert sum(grant.held for grant in hot.grants) == 16 * 10**9


def test_more_held_than_holds_have_is_told(logs: Logs) -> None:
    """The row against the holds and against the postings; and the log gives another row."""
    row = decode_row(logs.balances.rows["a:a0"])
    assert isinstance(row, BalanceRow)
    grant = next(grant for grant in row.grants if grant.held)
    grant.held += 1
    logs.balances.rows["a:a0"] = encode_row(row)
    findings = prove(logs.evidence(), 7)
    assert broken(findings) == {"I3", "I4"}
    told = "\n".join(findings["I3"].differences)
    assert f"/{grant.id}: held" in told
    assert "open holds have" in told
    assert "posted" in told


def test_a_hold_that_holds_less_is_told(logs: Logs) -> None:
    """Though all else agrees."""
    key, hold = next(open_holds(logs))
    [(grant, amount), *rest] = hold.slices
    hold.slices = [(grant, amount - 1), *rest]
    logs.balances.rows[key] = encode_row(hold)
    findings = prove(logs.evidence(), 7)
    assert broken(findings) == {"I3", "I4"}
    assert any("open holds have" in told for told in findings["I3"].differences)


def test_a_hold_that_the_index_lacks_is_told(logs: Logs) -> None:
    """It would never end."""
    row = decode_row(logs.balances.rows["o:a0"])
    assert isinstance(row, OpenHoldsRow)
    logs.balances.rows["o:a0"] = encode_row(OpenHoldsRow(row.ends[:-1]))
    findings = prove(logs.evidence(), 7)
    assert broken(findings) == {"I3", "I4"}
    assert any("the index has 2" in told for told in findings["I3"].differences)


def test_a_hold_that_should_have_gone_is_told(logs: Logs) -> None:
    """A row that stays is no row of the log folded again."""
    _, hold = next(open_holds(logs))
    hold.ended_at = hold.placed_at
    logs.balances.rows["h:a0|gone"] = encode_row(hold)
    findings = prove(logs.evidence(), 7)
    assert broken(findings) == {"I4"}
