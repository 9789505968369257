"""What `drawdown contract show` says of a contract's history."""

import io
from typing import Any

from rich.console import Console

from deploy.reading.contract import show
from projections.balances.books import decode_account
from projections.reading.changes import changed_paths
from projections.reading.contract import history
from tests.deploy.reading.contracts import DAY_SECONDS, text
from tests.deploy.reading.pipeline import Traffic, admit, fold


def told(*documents: tuple[float, str, dict[str, Any]]) -> dict[str, Any]:
    """The history of contract `two` after documents, each at a second after START."""
    traffic = Traffic()
    traffic.document(0, "Account", id="acme")
    for name, renews in (("one", None), ("two", "one"), ("three", "two")):
        traffic.document(
            1, "Contract", id=name, account="acme", starts_at=text(0), renews=renews, top_up=None
        )
    for seconds, kind, fields in documents:
        traffic.document(seconds, kind, account="acme", contract="two", **fields)
    traffic.tick(3 * DAY_SECONDS)
    rows = fold(admit(traffic)).balances.rows
    row = decode_account("acme", rows.get)
    assert row is not None
    return history(row, "two")


AMENDMENTS = (
    (
        10,
        "amend_contract",
        {
            "id": "x1",
            "effective_at": text(DAY_SECONDS),
            "changes": {"overage": {"mode": "block"}, "covers": {"tags": ["ai"]}},
            "reason": "agreed",
            "by": "sales",
        },
    ),
    (
        20,
        "amend_contract",
        {
            "id": "x2",
            "effective_at": text(9 * DAY_SECONDS),
            "changes": {"covers": {"tags": ["ai", "ml"]}},
        },
    ),
)


def test_each_revision_says_what_it_changed_and_what_it_replaced() -> None:
    said = told(*AMENDMENTS)
    assert (said["revision"], said["terms"]["overage"]["mode"]) == (2, "block")
    assert (said["renews"], said["renewed_by"]) == (["one"], ["three"])
    first, second, third = said["revisions"]
    assert (first["replaced"], first["changes"], first["effective_at"]) == (None, [], text(0))
    assert second == {
        "revision": 2,
        "effective_at": text(DAY_SECONDS),
        "at": text(10),
        "replaced": 1,
        "changes": [
            {"path": "covers", "before": None, "after": {"products": [], "tags": ["ai"]}},
            {"path": "overage.mode", "before": "allow", "after": "block"},
        ],
        "reason": "agreed",
        "by": "sales",
    }
    assert third["changes"] == [{"path": "covers.tags[1]", "before": None, "after": "ml"}]
    assert (third["replaced"], third["reason"], third["by"]) == (2, None, None)


def test_a_termination_is_told_with_its_policy() -> None:
    at, policy = text(DAY_SECONDS), "to_account"
    said = told((30, "terminate_contract", {"id": "x3", "at": at, "policy": policy}))
    assert said["terminated"] == {"at": at, "policy": policy, "command": "x3"}
    assert said["ends_at"] == at


def test_people_read_before_and_after() -> None:
    console = Console(file=io.StringIO(), width=200)
    show(told(*AMENDMENTS) | {"partition": 0, "position": [1, 0, 0]}, console)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    for part in ('overage.mode: "allow" → "block"', "agreed", "sales", "renews one", "1:0:0"):
        assert part in printed, printed


def test_the_smallest_parts_that_differ() -> None:
    before = {"a": 1, "b": {"c": [1, {"d": 2}], "e": 5}, "gone": "x"}
    after = {"a": 1, "b": {"c": [1, {"d": 3}, 4], "e": 5}, "new": None}
    assert [tuple(change) for change in changed_paths(before, after)] == [
        ("b.c[1].d", 2, 3),
        ("b.c[2]", None, 4),
        ("gone", "x", None),
    ]
