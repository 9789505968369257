"""Which contract covers a line and what it costs there, by hand; reference and columns agree."""

import json
from typing import Any, Final

import pytest

from schemas.frames import RatedKind
from tests.processors.rating_outcomes import outcome
from tests.rating import at, document, usage

NOW: Final = at("2026-03-15T12:00:00Z")
DAY: Final = 86_400_000_000


def product(name: str, *tags: str, **meter: Any) -> dict[str, Any]:
    """A product that counts `call` by model."""
    fields = {"event_type": "call", "aggregation": "count", "dimensions": ["model"], **meter}
    return {"kind": "Product", "id": name, "tags": tags, "meter": fields}


def unit(price: str) -> dict[str, str]:
    """A unit price."""
    return {"model": "unit", "unit_price": price}


def card(name: str, *prices: str) -> dict[str, Any]:
    """A rate card of `calls`, the big model tenfold: a version of each price, daily up to NOW."""
    versions = [
        {
            "version": number,
            "effective_from": f"2026-03-{15 - len(prices) + number:02}T00:00:00Z",
            "rates": [
                {"product": "calls", "price": unit(price)},
                {"product": "calls", "match": {"model": "big"}, "price": unit(price + "0")},
            ],
        }
        for number, price in enumerate(prices, 1)
    ]
    return {"kind": "RateCard", "id": name, "versions": versions}


def contract(name: str, **fields: Any) -> dict[str, Any]:
    """A contract of `a` from 1 March on."""
    common = {"kind": "Contract", "id": name, "account": "a", "starts_at": "2026-03-01T00:00:00Z"}
    return {**common, **fields}


def amend(effective_at: str, number: str = "1", **changes: Any) -> dict[str, Any]:
    """An amendment of k."""
    fields = {"contract": "k", "effective_at": effective_at, "changes": changes}
    return {"kind": "amend_contract", "id": number, "account": "a", **fields}


def rated(*documents: dict[str, Any], **event: Any) -> list[dict[str, Any]]:
    """The rows of one call of `a` at NOW after the documents."""
    fields = [
        product("calls", "api"),
        card("standard", "1", "2"),
        card("other", "5"),
        {"kind": "Account", "id": "a", "rate_card": "standard"},
        *documents,
    ]
    data = {"model": event.pop("model", "small"), **event.pop("data", {})}
    found = outcome(*(document(NOW, f) for f in fields), usage(NOW, "a", data, **event))
    return [row for row in found if row["id"] is not None]


def line(*documents: dict[str, Any], **event: Any) -> dict[str, Any]:
    """The one line."""
    [row] = rated(*documents, **event)
    assert row["kind"] == RatedKind.LINE, row["reason"]
    return row


def cost(*documents: dict[str, Any], **event: Any) -> str:
    """The cost of the one line."""
    return f"{line(*documents, **event)['cost'].normalize():f}"


PRODUCT: Final = {"products": ["calls"]}
TAG: Final = {"tags": ["api"]}


@pytest.mark.parametrize(
    ("contracts", "named", "expected"),
    [
        ([], None, None),
        ([contract("k", covers={"products": ["other"]})], None, None),
        ([contract("k", ends_at="2026-03-15T12:00:00Z")], None, None),
        ([contract("k", ends_at="2026-03-15T12:00:01Z")], None, "k"),
        ([contract("k", starts_at="2026-03-15T12:00:00Z")], None, "k"),
        ([contract("k", starts_at="2026-03-15T12:00:01Z")], None, None),
        ([contract("all"), contract("tag", covers=TAG)], None, "tag"),
        ([contract("tag", covers=TAG), contract("product", covers=PRODUCT)], None, "product"),
        ([contract("k1"), contract("k2", starts_at="2026-03-02T00:00:00Z")], None, "k2"),
        ([contract("k2"), contract("k1")], None, "k1"),
        ([contract("k1", covers=PRODUCT), contract("k2")], "k2", "k2"),
        ([contract("k1"), contract("k2", ends_at="2026-03-02T00:00:00Z")], "k2", "k1"),
        ([contract("k1"), contract("k2", covers={"products": ["other"]})], "k2", "k1"),
        ([contract("k1")], "none", "k1"),
    ],
)
def test_the_contract_that_covers_a_line(
    contracts: list[dict[str, Any]], named: str | None, expected: str | None
) -> None:
    """The named one if it covers; else the closest, then the latest start, then the smaller id."""
    row = line(*contracts, contract=named)
    assert (row["contract"], row["named"]) == (expected, named is not None and named == expected)


@pytest.mark.parametrize(
    ("rate_card", "days", "priced"),
    [
        (None, 0, ("standard", 2, "2")),
        (None, 1, ("standard", 1, "1")),
        ("other", 0, ("other", 1, "5")),
        ({"id": "standard", "version": 1}, 0, ("standard", 1, "1")),
        ({"id": "standard", "version": 2}, 1, ("standard", 2, "2")),
    ],
)
def test_the_rate_card_of_a_contract(
    rate_card: Any, days: int, priced: tuple[str, int, str]
) -> None:
    """Its own by event time, or pinned to a version whatever the time; else the account's."""
    row = line(contract("k", rate_card=rate_card), time=NOW - days * DAY)
    assert (row["rate_card"], row["version"], f"{row['cost'].normalize():f}") == priced


@pytest.mark.parametrize("rate_card", ["none", {"id": "standard", "version": 3}])
def test_a_rate_card_that_is_not_there_leaves_the_line_unrated(rate_card: Any) -> None:
    [row] = rated(contract("k", rate_card=rate_card))
    reasons = {"none": "unknown_rate_card"}
    assert row["reason"] == (reasons["none"] if rate_card == "none" else "no_version")
    assert (row["contract"], row["price"], row["period"]) == (None, None, None)


TIMES_3: Final = {"product": "calls", "multiplier": "3"}
SEVEN: Final = {"product": "calls", "price": unit("7")}


@pytest.mark.parametrize(
    ("overrides", "model", "expected"),
    [
        ([TIMES_3], "small", ("6", 0)),
        ([TIMES_3], "big", ("60", 0)),
        ([SEVEN], "small", ("7", 0)),
        ([TIMES_3, SEVEN], "small", ("7", 1)),
        ([SEVEN, {**TIMES_3, "match": {"model": "big"}}], "big", ("60", 1)),
        ([SEVEN, {**TIMES_3, "match": {"model": "big"}}], "small", ("7", 0)),
        ([TIMES_3, {**TIMES_3, "multiplier": "4"}], "small", ("6", 0)),
        ([{"tag": "api", "multiplier": "0.5"}], "small", ("1", 0)),
        ([{"tag": "other", "multiplier": "0.5"}], "small", ("2", None)),
        ([{"product": "other", "multiplier": "0.5"}], "small", ("2", None)),
        ([{**SEVEN, "effective_from": "2026-03-15T12:00:00Z"}], "small", ("7", 0)),
        ([{**SEVEN, "effective_from": "2026-03-15T12:00:01Z"}], "small", ("2", None)),
        ([{**SEVEN, "effective_to": "2026-03-15T12:00:00Z"}], "small", ("2", None)),
        ([{**SEVEN, "effective_to": "2026-03-15T12:00:01Z"}], "small", ("7", 0)),
    ],
)
def test_one_override_applies(
    overrides: list[dict[str, Any]], model: str, expected: tuple[str, int | None]
) -> None:
    """Most matched dimensions, then a price before a multiplier, then the first; none stacks."""
    row = line(contract("k", overrides=overrides), model=model)
    assert (f"{row['cost'].normalize():f}", row["override"]) == expected


def test_a_price_prices_what_the_list_does_not() -> None:
    """A multiplier has nothing to multiply there."""
    nowhere = {"rate_card": "none"}
    row = line(contract("k", overrides=[SEVEN], **nowhere))
    assert (row["cost"], row["rate_card"], row["version"], row["match"]) == (7, None, None, "{}")
    [row] = rated(contract("k", overrides=[TIMES_3], **nowhere))
    assert row["reason"] == "unknown_rate_card"


def test_a_line_says_what_priced_it() -> None:
    """The price as it was applied, the rate's match, and the unit price before a multiplier."""
    override = {**TIMES_3, "match": {"model": "big"}}
    row = line(contract("k", overrides=[override]), model="big")
    assert json.loads(row["price"]) == {
        "model": "unit",
        "multiplier": "3",
        "per": "1",
        "unit_price": "20",
    }
    found = (row["match"], row["unit_price"], row["revision"], row["period"])
    assert found == ('{"model":"big"}', 20, 1, at("2026-03-01"))


@pytest.mark.parametrize(
    ("billing", "start"),
    [
        (None, "2026-02-28T23:00:00Z"),
        ({"cycle": "monthly", "anchor": "2025-12-31"}, "2026-02-27T23:00:00Z"),
        ({"cycle": "quarterly", "anchor": "2025-12-10"}, "2026-03-09T23:00:00Z"),
        ({"cycle": "annual"}, "2025-12-31T23:00:00Z"),
    ],
)
def test_a_line_has_the_billing_period_of_its_contract(billing: Any, start: str) -> None:
    """From the anchor's day, at the first instant of that day in the account's zone."""
    berlin = {"kind": "Account", "id": "b", "rate_card": "standard", "time_zone": "Europe/Berlin"}
    terms = contract("k", account="b", billing=billing)
    fields = [product("calls"), card("standard", "1"), berlin, terms]
    found = outcome(*(document(NOW, f) for f in fields), usage(NOW, "b", {}))
    assert found[-1]["period"] == at(start)


def test_quantities_are_kept_for_each_contract_and_period() -> None:
    """Three lines fill a package of three for the wallet, for k, and for k's next period."""
    package = {"model": "package", "size": "3", "price": "1"}
    rates = [{"product": "calls", "price": package}]
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": rates}
    fields = [
        product("calls"),
        {"kind": "RateCard", "id": "standard", "versions": [version]},
        {"kind": "Account", "id": "a", "rate_card": "standard"},
        contract("k", ends_at="2026-05-01T00:00:00Z"),
    ]
    times = [at("2026-02-10"), at("2026-03-10"), at("2026-04-10")]
    events = [usage(NOW, "a", {}, time=t) for t in times for _ in range(4)]
    found = outcome(*(document(NOW, f) for f in fields), *events)
    costs = [int(row["cost"]) for row in found if row["kind"] == RatedKind.LINE]
    assert costs == [1, 0, 0, 1] * 3


@pytest.mark.parametrize(
    ("days", "revision", "price"), [(0, 3, "4"), (1, 2, "3"), (2, 1, "2"), (20, None, None)]
)
def test_the_revision_in_force_at_event_time_prices(
    days: int, revision: int | None, price: str | None
) -> None:
    """Whenever it was written."""
    amendments = [
        amend("2026-03-14T00:00:00Z", overrides=[{"product": "calls", "price": unit("3")}]),
        amend("2026-03-15T00:00:00Z", "2", overrides=[{"product": "calls", "price": unit("4")}]),
    ]
    first = contract("k", overrides=[{"product": "calls", "price": unit("2")}])
    [row] = rated(first, *amendments, time=NOW - days * DAY)
    if revision is None:
        assert row["contract"] is None
    else:
        assert (row["revision"], f"{row['cost'].normalize():f}") == (revision, price)


RENAMED: Final = amend("2026-03-02T00:00:00Z", opportunity="x")


def test_a_terminated_contract_covers_until_its_end() -> None:
    """The later of `at` and journal time."""
    end = {"kind": "terminate_contract", "id": "1", "account": "a", "contract": "k"}
    early = {**end, "at": "2026-03-10T00:00:00Z", "policy": "expire"}
    assert line(contract("k"), early)["contract"] is None
    assert line(contract("k"), early, time=NOW - 1)["contract"] == "k"
    assert line(contract("k"), {**early, "at": "2026-03-16T00:00:00Z"})["contract"] == "k"


@pytest.mark.parametrize(
    ("documents", "reasons"),
    [
        ([contract("k", account="b")], ["unknown_account"]),
        ([contract("k"), contract("k")], []),
        ([contract("k"), contract("k", rate_card="other")], ["conflict"]),
        ([contract("k", renews="none")], ["unknown_contract"]),
        ([contract("k"), contract("k2", renews="k")], []),
        ([RENAMED], ["unknown_contract"]),
        ([contract("k"), amend("2026-02-28T00:00:00Z", opportunity="x")], ["out_of_order"]),
        ([contract("k"), amend("2026-03-02T00:00:00Z", renews="none")], ["unknown_contract"]),
        ([contract("k"), amend("2026-03-02T00:00:00Z", overrides=[{}])], ["invalid_document"]),
        ([contract("k"), amend("2026-03-02T00:00:00Z", account="b")], ["invalid_document"]),
        (
            [contract("k"), RENAMED, {**RENAMED, "changes": {"opportunity": "y"}}],
            ["conflict"],
        ),
        (
            [contract("k"), RENAMED, RENAMED],
            [],
        ),
        ([{"kind": "purchase", "id": "1", "account": "a", "pack": "p", "quantity": "1"}],
         ["unknown_pack"]),
    ],
)  # fmt: skip
def test_documents_of_contracts_are_taken_or_refused(
    documents: list[dict[str, Any]], reasons: list[str]
) -> None:
    """With the reason, and nothing of what is refused is applied."""
    account = {"kind": "Account", "id": "a"}
    found = outcome(*(document(NOW, f) for f in (account, *documents)))
    assert [row["reason"] for row in found if row["kind"] == RatedKind.REFUSED] == reasons


def test_entities_of_the_limits_in_force() -> None:
    """The contract's where one covers, else the account's; by paths, where there is a value."""
    team = {"id": "team", "by": "team", "amount": "5", "period": "daily"}
    seat = {"id": "seat", "by": "user.seat", "amount": "5", "period": "daily"}
    other = {**seat, "id": "other", "products": ["other"]}
    whole = {"id": "whole", "by": "account", "amount": "5", "period": "daily"}
    account = {"kind": "Account", "id": "a", "rate_card": "standard", "limits": [team, seat, whole]}
    data = {"team": 7, "user": {"seat": "ü"}}
    assert json.loads(line(account, data=data)["entities"]) == [
        ["team", None, "7"],
        ["seat", None, "ü"],
    ]
    assert line(account, data={"team": None})["entities"] is None
    covered = line(account, contract("k", limits=[seat, other]), data=data)
    assert json.loads(covered["entities"]) == [["seat", "k", "ü"]]
    assert line(account, contract("k"), data=data)["entities"] is None
