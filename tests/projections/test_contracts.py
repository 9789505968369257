"""The lineage of a contract (schemas/CREDITS.md 3.47 to 3.52)."""

import json
from typing import Any

import pytest

from projections.contracts import Lineage, Revision, amended, begin, contract_of, in_force
from schemas.documents import AmendContract, Contract, parse_document
from schemas.reasons import Reason, Refusal
from schemas.times import parse_instant

START = "2026-01-01T00:00:00Z"
CONTRACT = {
    "kind": "Contract",
    "id": "k",
    "account": "acme",
    "starts_at": START,
    "rate_card": "old",
}


def at(day: int) -> int:
    return parse_instant(f"2026-01-{day:02}T00:00:00Z")


def amendment(day: int, changes: dict[str, Any]) -> AmendContract:
    command = parse_document(
        {
            "kind": "amend_contract",
            "id": f"a{day}",
            "account": "acme",
            "contract": "k",
            "effective_at": f"2026-01-{day:02}T00:00:00Z",
            "changes": changes,
            "reason": "renegotiated",
            "by": "ana",
        }
    )
    assert isinstance(command, AmendContract), command
    return command


@pytest.fixture
def lineage() -> Lineage:
    contract = parse_document(CONTRACT)
    assert isinstance(contract, Contract), contract
    return begin(contract, at(1))


def test_the_lineage_can_be_read_back(
    lineage: Lineage,
) -> None:
    revision = amended(lineage, amendment(15, {"rate_card": {"id": "new", "version": 2}}), at(10))
    assert isinstance(revision, Revision), revision
    lineage.revisions.append(revision)
    first, second = lineage.revisions
    assert (first.number, first.effective_at, first.at, first.changes) == (1, at(1), at(1), None)
    assert (second.number, second.effective_at, second.at) == (2, at(15), at(10))
    assert (second.reason, second.by) == ("renegotiated", "ana")
    assert json.loads(second.changes or "") == {"rate_card": {"id": "new", "version": 2}}
    assert contract_of(first.document).rate_card == "old"
    pinned = contract_of(second.document).model_dump()["rate_card"]
    assert pinned == {"id": "new", "version": 2}


def test_a_revision_is_in_force_from_its_instant_on(lineage: Lineage) -> None:
    for day in (15, 15, 20):
        revision = amended(lineage, amendment(day, {"opportunity": f"of {day}"}), at(2))
        assert isinstance(revision, Revision), revision
        lineage.revisions.append(revision)
    found = {day: in_force(lineage, at(day)).number for day in (1, 14, 15, 19, 20)}
    assert found == {1: 1, 14: 1, 15: 3, 19: 3, 20: 4}
    assert in_force(lineage, at(15) - 1).number == 1


def test_what_begins_before_the_latest_revision_is_out_of_order(lineage: Lineage) -> None:
    revision = amended(lineage, amendment(15, {"opportunity": "x"}), at(2))
    assert isinstance(revision, Revision), revision
    lineage.revisions.append(revision)
    refusal = amended(lineage, amendment(14, {"opportunity": "y"}), at(3))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.path) == (Reason.OUT_OF_ORDER, "effective_at")
