"""A scenario against another: what is put in where, and what differs."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from deploy.simulate.against import parse_against
from deploy.simulate.command import register
from deploy.simulate.difference import difference
from deploy.simulate.printed import compare
from deploy.simulate.scenario import parse_scenario
from schemas.documents import Product, RateCard
from schemas.errors import DocumentError

FILE = """
catalog:
  - {kind: Product, id: calls, meter: {event_type: call, aggregation: count}}
  - {kind: RateCard, id: list, versions: [{version: 1, effective_from: "2026-01-01T00:00:00Z",
     rates: [{product: calls, price: {model: unit, unit_price: "1"}}]}]}
timeline:
  - {at: "2026-01-01T00:00:00Z", account: {id: acme, rate_card: list, alerts: []}}
  - {at: "2026-01-01T00:00:00Z", account: {id: other, rate_card: list, alerts: []}}
  - {at: "2026-01-01T00:00:00Z", grant: {id: g, account: acme, type: prepaid, amount: "10",
     effective_at: "2026-01-01T00:00:00Z"}}
  - {at: "2026-01-02T00:00:00Z", usage: {id: e1, source: api, type: call, subject: acme,
     time: "2026-01-02T00:00:00Z", data: {}}}
  - {at: "2026-01-02T00:00:00Z", usage: {id: e2, source: api, type: chat, subject: other,
     time: "2026-01-02T00:00:00Z", data: {}}}
"""
DEARER = """
catalog:
  - {kind: RateCard, id: list, versions: [{version: 1, effective_from: "2026-01-01T00:00:00Z",
     rates: [{product: calls, price: {model: unit, unit_price: "3"}}]}]}
"""
LARGER = """
documents:
  - {kind: Grant, id: g, account: acme, type: prepaid, amount: "25",
     effective_at: "2026-01-01T00:00:00Z"}
"""
PRICED = """
catalog:
  - {kind: RateCard, id: list, versions: [{version: 1, effective_from: "2026-01-01T00:00:00Z",
     rates: [{product: calls, price: {model: unit, unit_price: "1"}},
             {product: chat, price: {model: unit, unit_price: "2"}}]}]}
  - {kind: Pack, id: p, type: promotional, amount: "1"}
  - {kind: Product, id: chat, meter: {event_type: chat, aggregation: count}}
"""


def compared(other: str, file: str = FILE) -> Any:
    return json.loads(compare(file, other, as_json=True))


def both(before: str | int | None, after: str | int | None) -> dict[str, Any]:
    return {"before": before, "after": after}


def test_another_price_differs_in_accounts_grants_lines_and_cost() -> None:
    assert compared(DEARER) == {
        "cost": both("1", "3"),
        "accounts": [
            {
                "account": "acme",
                "available": both("9", "7"),
                "consumed": both("1", "3"),
                "cost": both("1", "3"),
            }
        ],
        "grants": [
            {
                "account": "acme",
                "grant": "g",
                "consumed": both("1", "3"),
                "remaining": both("9", "7"),
            }
        ],
        "lines": [
            {
                "account": "acme",
                "event": "e1",
                "product": "calls",
                "cost": both("1", "3"),
                "slices": {
                    "before": [{"grant": "g", "amount": "1"}],
                    "after": [{"grant": "g", "amount": "3"}],
                },
            }
        ],
    }


def test_other_terms_replace_those_of_the_timeline() -> None:
    found = compared(LARGER)
    assert found["grants"] == [
        {
            "account": "acme",
            "grant": "g",
            "issued": both("10", "25"),
            "remaining": both("9", "24"),
        }
    ]
    issued = {
        side: [alert["amount"] for alert in found["alerts"][side]] for side in found["alerts"]
    }
    assert issued == {"before": ["10"], "after": ["25"]}
    assert "cost" not in found


def test_what_is_new_is_in_force_from_the_beginning_products_before_prices() -> None:
    entries = parse_against(PRICED, parse_scenario(FILE))
    kinds = [type(entry.what).__name__ for entry in entries[:4]]
    assert kinds == ["Product", "Product", "RateCard", "Pack"]
    found = compared(PRICED)
    assert found["cost"] == both("1", "3")
    assert [line["event"] for line in found["lines"]] == ["e2"]
    assert found["lines"][0]["quantity"] == both(None, "1")
    assert [entry["event"] for entry in found["unrated"]["before"]] == ["e2"]


def test_a_document_that_comes_later_in_the_timeline_is_replaced_there() -> None:
    """Also the catalog's: nothing of it moves to the beginning."""
    late = FILE + DEARER.replace("catalog:\n  - ", '  - {at: "2026-01-03T00:00:00Z", catalog: ')
    entries = parse_scenario(f"{late.rstrip()}}}\n")
    assert isinstance(entries[-1].what, RateCard)
    found = parse_against(PRICED, entries)
    assert [type(entry.what) for entry in found].count(RateCard) == 2
    assert isinstance(found[-1].what, RateCard)
    assert found[-1].what.versions[0].rates[-1].product == "chat"
    assert isinstance(found[1].what, Product)


def test_a_whole_scenario_is_run_as_it_is() -> None:
    found = compared(FILE.replace('unit_price: "1"', 'unit_price: "2"'))
    assert found["cost"] == both("1", "2")


def test_the_same_scenario_does_not_differ() -> None:
    assert compared(FILE) == {}
    assert compare(FILE, FILE, as_json=False) == "no difference"


@pytest.mark.parametrize(
    ("other", "path", "expected"),
    [
        ("{}", "scenario", "expected a timeline, or documents"),
        ("catalogue: []", "catalogue", "unknown field"),
        ("catalog: 7", "catalog", "expected a list"),
        ("catalog: [{kind: Account, id: acme}]", "catalog[0].kind", "Product, RateCard, Pack"),
        ("documents: [{kind: Account, id: nobody}]", "documents[0]", "got nobody"),
        ("documents: [{kind: set_seats}]", "documents[0].id", "required"),
        ("documents: [{kind: Account, id: acme, limits: 7}]", "documents[0].limits", "valid tuple"),
        ("timeline: []", "timeline", "at least one entry"),
        ("timeline: []\ndocuments: []", "documents", "unknown field"),
    ],
)
def test_a_fault_of_the_other_file_is_told_with_its_path(
    other: str, path: str, expected: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        compare(FILE, other, as_json=True)
    place, said = caught.value.faults[0]
    assert place == f"against {path}"
    assert expected in said


def test_a_command_cannot_replace_one() -> None:
    command = "documents: [{kind: set_seats, id: '1', account: acme, contract: k, seats: 3}]"
    with pytest.raises(DocumentError) as caught:
        compare(FILE, command, as_json=True)
    assert caught.value.faults == [
        ("against documents[0].kind", "expected one of Account, Contract, Grant")
    ]


def line(**changes: Any) -> dict[str, Any]:
    names = {"account": "a", "event": "e", "product": "p"}
    return {**names, "cost": "1", "slices": [], "overage": "0", **changes}


def result(**parts: Any) -> dict[str, Any]:
    lists: dict[str, Any] = {name: [] for name in ("lines", "alerts", "rejected", "unrated")}
    return {"accounts": {}, **lists, **parts}


def test_a_void_is_compared_with_a_void() -> None:
    before = result(lines=[line(), line(cost="-1")])
    after = result(lines=[line(), line(cost="-0.5")])
    found = difference(before, after)
    assert [entry["cost"] for entry in found["lines"]] == [both("-1", "-0.5")]
    assert found["cost"] == both("0", "0.5")


def test_entries_that_come_twice_are_counted() -> None:
    alert = {"type": "t", "at": "x"}
    found = difference(result(alerts=[alert, alert]), result(alerts=[alert]))
    assert found == {"alerts": {"before": [alert]}}


def test_what_only_one_side_has_is_null_on_the_other() -> None:
    account = {"available": "1", "consumed": "0", "overage": "0", "grants": []}
    found = difference(result(), result(accounts={"a": account}, lines=[line(contract_named=True)]))
    assert found["accounts"][0]["available"] == both(None, "1")
    assert found["lines"][0]["contract_named"] == {"before": None, "after": True}


def test_the_command_prints_tables(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    file, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_text(FILE)
    other.write_text(DEARER)
    printed = CliRunner().invoke(app, ["simulate", str(file), "--against", str(other)])
    assert (printed.exit_code, printed.stderr) == (0, "")
    assert printed.stdout.splitlines()[:5] == [
        "cost: 1 -> 3",
        "",
        "accounts",
        "  account  field      before  after",
        "  acme     available  9       7",
    ]
    assert "  acme     e1     calls    slices  g:1     g:3" in printed.stdout.splitlines()
    other.write_text("x: 1")
    printed = CliRunner().invoke(app, ["simulate", str(file), "--against", str(other)])
    assert printed.exit_code == 2
    assert printed.stderr.startswith("against x: unknown field")
