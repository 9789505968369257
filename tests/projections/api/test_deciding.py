"""What a hold's row, and a refusal's place, say about one's own command."""

import pytest

from projections.api.deciding import HoldCommand, is_applied, is_certain
from projections.api.documents import _wait
from projections.api.problems import refused
from projections.api.refusals import Expected, Refused, Stand
from projections.balances.hold_rows import KEPT, HoldRow
from projections.balances.new import digest_of
from projections.confirming import Place
from schemas.documents import CaptureHold, PlaceHold, ReleaseHold
from schemas.numbers import Credits
from schemas.reasons import Reason

PLACE = PlaceHold(id="h", account="a", product="p", amount=Credits.parse("2"))
CAPTURE = CaptureHold(id="c", account="a", hold="h")
RELEASE = ReleaseHold(id="c", account="a", hold="h")


def row(**changes: object) -> HoldRow:
    """The open hold of PLACE."""
    made = HoldRow(digest_of(PLACE), "p", None, 10, 20, [("g", 2)])
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def ended(command: HoldCommand, state: str) -> HoldRow:
    """The hold, ended by a command."""
    return row(state=state, ended_at=15, ended_by=(command.id, digest_of(command)))


@pytest.mark.parametrize(
    ("command", "found", "applied"),
    [
        (PLACE, None, False),
        (PLACE, row(), True),
        (PLACE, row(digest="of other content"), False),
        (PLACE, ended(CAPTURE, "captured"), True),
        (CAPTURE, row(), False),
        (CAPTURE, ended(CAPTURE, "captured"), True),
        (CAPTURE, ended(RELEASE, "released"), False),
        (CAPTURE, ended(CaptureHold(id="other", account="a", hold="h"), "captured"), False),
        (CAPTURE, row(state="expired", ended_at=20), False),
        (RELEASE, ended(RELEASE, "released"), True),
        (RELEASE, ended(CAPTURE, "captured"), False),
    ],
)
def test_a_row_shows_what_was_applied(
    command: HoldCommand, found: HoldRow | None, applied: bool
) -> None:
    assert is_applied(command, digest_of(command), found) is applied


def test_a_row_of_a_hold_that_may_be_forgotten_says_nothing_alone() -> None:
    old = ended(RELEASE, "released")
    assert is_certain(row(), None, 10**15)
    assert is_certain(old, old, 15 + KEPT - 1), "remembered: the command is the same again"
    assert not is_certain(old, old, 15 + KEPT), "it may have been refused after that"
    assert is_certain(row(placed_at=99), old, 15 + KEPT), "placed anew"


STAND = Stand("t.credits", Place(1, 7), fold=1, above=100, below=105)


@pytest.mark.parametrize(
    ("topic", "partition", "offset", "own"),
    [
        ("t.credits", 1, 7, True),
        ("t.credits", 1, 6, False),
        ("t.credits", 0, 7, False),
        ("metering.journal.v1", 1, 100, True),
        ("metering.rated.v1", 1, 104, True),
        ("metering.journal.v1", 1, 99, False),
        ("metering.journal.v1", 1, 105, False),
        ("metering.rated.v1", 0, 101, False),
    ],
)
def test_a_refusal_is_of_the_record_that_stood_there(
    topic: str, partition: int, offset: int, own: bool
) -> None:
    found = Refused("conflict", "", topic, partition, offset)
    assert STAND.is_of(found) is own
    assert Expected(b"", [found]).of(STAND) == (found if own else None)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ("wait = 7; x=1", 7),
        ("wait=9999", 30),
        ("await=5", None),
        ("wait=-1", None),
        ("wait=x", None),
    ],
)
def test_how_long_a_client_prefers_to_wait(prefer: str | None, seconds: int | None) -> None:
    assert _wait(prefer) == seconds


def test_every_reason_has_a_status_of_a_client() -> None:
    statuses = {reason: refused(reason, "").status for reason in Reason}
    assert statuses[Reason.INSUFFICIENT_CREDITS] == 402
    assert statuses[Reason.UNKNOWN_HOLD] == 404
    assert statuses[Reason.HOLD_ENDED] == statuses[Reason.CONFLICT] == 409
    assert all(400 <= status < 500 for status in statuses.values())
