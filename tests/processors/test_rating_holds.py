"""Holds pass through rating: it refuses what names nothing, and keeps nothing of them."""

from typing import Any, Final

import pytest

from schemas.frames import RatedKind
from tests.rating import at, cuts, document, journal, rated_by_columns, rated_by_reference

NOW: Final = at("2026-03-15T12:00:00Z")
METER: Final = {"event_type": "call", "aggregation": "count"}
OPENING: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "Product", "id": "p", "meter": METER},
    {"kind": "Account", "id": "a"},
    {"kind": "Contract", "id": "k", "account": "a", "starts_at": "2026-03-01T00:00:00Z"},
)


def command(kind: str, **fields: Any) -> dict[str, Any]:
    """A command of `a`."""
    return {"kind": kind, "id": "h", "account": "a", **fields}


def ended(*commands: dict[str, Any]) -> tuple[list[tuple[int, str | None]], dict[str, bytes]]:
    """How each command ended in rating, and its rows; whole, singly and by the reference."""
    frame = journal([document(NOW, fields) for fields in (*OPENING, *commands)])
    expected, rows = rated_by_reference(frame)
    for parts in ([frame], cuts(frame, range(frame.height))):
        actual, others = rated_by_columns(parts)
        assert actual.equals(expected)
        assert others == rows
    found = expected.select("kind", "reason").rows()[len(OPENING) :]
    return found, rows


def test_holds_are_passed_on_and_nothing_of_them_is_kept() -> None:
    """Each as often as it comes: what it does is decided by balances."""
    place = command("place_hold", product="p", amount="1", contract="k")
    found, rows = ended(
        place, place, command("capture_hold", hold="h"), command("release_hold", hold="nowhere")
    )
    assert found == [(int(RatedKind.DOCUMENT), None)] * 4
    _, before = ended()
    assert rows == before


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (command("place_hold", product="q", amount="1"), "unknown_product"),
        (command("place_hold", product="p", amount="1", contract="x"), "unknown_contract"),
        (command("place_hold", product="p", amount="1") | {"account": "b"}, "unknown_account"),
        (command("capture_hold", hold="h") | {"account": "b"}, "unknown_account"),
        (command("release_hold", hold="h", amount="1"), "invalid_document"),
    ],
)
def test_what_names_nothing_is_refused(fields: dict[str, Any], reason: str) -> None:
    assert ended(fields)[0] == [(int(RatedKind.REFUSED), reason)]
