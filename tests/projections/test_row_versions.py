"""Rows of another release: older ones are read, newer ones are refused and told what to do."""

import json
from collections.abc import Callable

import pytest

from projections.balances import wire
from projections.contracts import Lineage, Revision
from projections.fold.position import Position, decode_position
from projections.rates import rows as rating
from schemas.errors import ReleaseError

NEWER = "written by a newer release; run that release here too, readers before writers"
ROW = rating.AccountRow("standard", "UTC", (rating.LimitRow("m", "model", None),), "{}")
LINEAGE = Lineage([Revision(1, 0, 0, "{}")])


def changed(raw: bytes, change: Callable[[dict[str, object]], object]) -> bytes:
    """A row with something else in it."""
    row = json.loads(raw)
    change(row)
    return json.dumps(row).encode()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'[4,"l",0,0]', "a balance row 'l' of version 4, known up to 3: " + NEWER),
        (b'[3,"z"]', "a balance row 'z' of version 3, known up to 3: " + NEWER),
        (b'[1,"l",0,0]', "a balance row of version 1: `drawdown rebuild` makes it anew"),
    ],
)
def test_a_balance_row_of_another_release(raw: bytes, said: str) -> None:
    with pytest.raises(ReleaseError, match=said):
        wire.decode_row(raw)


def test_a_balance_row_with_more_behind_it_is_no_row() -> None:
    with pytest.raises(ValueError, match="Extra data"):
        wire.decode_row(b'[3,"l",7,1][3,"l",8,1]')


@pytest.mark.parametrize("version", [2, wire.ROW_VERSION])
def test_a_balance_row_of_a_version_that_is_read(version: int) -> None:
    assert wire.decode_row(b'[%d,"l",7,1]' % version) == wire.LimitRow(7, reached=True)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"type":"quota"}', "Invalid value 'quota'"),
        (changed(rating.encode_row(ROW), lambda row: row.update(seats=1)), "unknown field `seats`"),
        (
            changed(rating.encode_row(ROW), lambda row: row.update(limits=[["m", "a", None, 1]])),
            "at most length 3",
        ),
        (
            changed(
                rating.encode_row(rating.ContractsRow({"k": LINEAGE})),
                lambda row: row.update(lineages={"k": [[], None, None, None, 1]}),
            ),
            "at most length 4",
        ),
    ],
    ids=("tag", "field", "of a limit", "of a contract"),
)
def test_a_row_of_rating_with_more_in_it_is_refused_not_cut(raw: bytes, said: str) -> None:
    """Written again by this release it would have lost what is new."""
    with pytest.raises(ReleaseError, match=f"(?s)a row of rating.*{said}.*{NEWER}"):
        rating.decode_row(raw)


def test_a_position_with_more_in_it_is_refused() -> None:
    text = Position(3, "d").encode()
    assert decode_position(text) == Position(3, "d")
    with pytest.raises(ReleaseError, match=NEWER):
        decode_position(text.replace("{", '{"epoch":1,', 1))
