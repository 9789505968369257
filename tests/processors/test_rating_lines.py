"""What rating makes of events and documents, by hand; the reference and the columns agree."""

from typing import Any

import pytest

from schemas.frames import RatedKind
from tests.processors.rating_outcomes import outcome as of_journal
from tests.rating import at, document, usage

NOW = at("2026-03-31T23:30:00Z")
HOUR = 3_600_000_000


def product(name: str, **meter: Any) -> dict[str, Any]:
    """A product that meters `call`."""
    return {"kind": "Product", "id": name, "meter": {"event_type": "call", **meter}}


def unit(price: str) -> dict[str, str]:
    """A unit price."""
    return {"model": "unit", "unit_price": price}


TOKENS = product("tokens", aggregation="sum", value="n", dimensions=["model", "region"])
CALLS = product("calls", aggregation="count")
RATES: list[dict[str, Any]] = [
    {"product": "tokens", "match": {"model": "big"}, "price": unit("3")},
    {"product": "tokens", "match": {"region": "eu"}, "price": unit("5")},
    {"product": "tokens", "match": {"model": "big", "region": "eu"}, "price": unit("7")},
    {"product": "tokens", "match": {"model": "huge"}, "price": unit("1000000000000000000")},
    {"product": "calls", "price": {"model": "package", "size": "2", "price": "10"}},
]
CARD: dict[str, Any] = {
    "kind": "RateCard",
    "id": "card",
    "versions": [
        {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": RATES},
        {
            "version": 2,
            "effective_from": "2026-03-31T12:00:00Z",
            "rates": [{"product": "tokens", "price": unit("11")}, RATES[4]],
        },
    ],
}


def account(id_: str, **fields: Any) -> dict[str, Any]:
    """An account."""
    return {"kind": "Account", "id": id_, **fields}


START = [
    document(NOW, fields)
    for fields in (
        TOKENS,
        CALLS,
        CARD,
        account("a", rate_card="card"),
        account("berlin", rate_card="card", time_zone="Europe/Berlin"),
        account("bare"),
        account("lost", rate_card="nowhere"),
    )
]


def outcome(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The rated rows of `rows` after START, but of documents that were taken."""
    found = of_journal(*START, *rows)
    return [row for row in found if row["id"] is not None or row["reason"] is not None]


def lines(*rows: dict[str, Any]) -> list[tuple[str, int, str]]:
    """(product, version, cost) of each line."""
    found = (row for row in outcome(*rows) if row["kind"] == RatedKind.LINE)
    return [(row["product"], row["version"], f"{row['cost'].normalize():f}") for row in found]


@pytest.mark.parametrize(
    ("data", "cost"),
    [
        ({"n": 2, "model": "big"}, "6"),
        ({"n": 2, "region": "eu"}, "10"),
        ({"n": 2, "model": "big", "region": "eu"}, "14"),
        ({"n": "0.5", "model": "big", "region": "us"}, "1.5"),
    ],
)
def test_most_matched_dimensions_win(data: dict[str, Any], cost: str) -> None:
    """Then the first declared; one event feeds both products in catalog order."""
    event = usage(NOW, "a", data, time=NOW - 24 * HOUR)
    assert [("tokens", 1, cost), ("calls", 1, "10")] == lines(event)


def test_event_time_decides_the_version() -> None:
    """A version is in effect from its first microsecond."""
    noon = at("2026-03-31T12:00:00Z")
    data = {"n": 1, "model": "big"}
    found = lines(usage(NOW, "a", data, time=noon - 1), usage(NOW, "a", data, time=noon))
    assert found[::2] == [("tokens", 1, "3"), ("tokens", 2, "11")]


def test_a_package_counts_the_month_of_the_accounts_zone() -> None:
    """23:30 UTC on 31 March is April in Berlin: there the count begins anew at 22:00 UTC."""
    times = [NOW - 2 * HOUR, NOW, NOW, NOW]
    found = {
        name: [
            line[2] for line in lines(*(usage(NOW, name, {"n": 0}, time=t) for t in times))[1::2]
        ]
        for name in ("a", "berlin")
    }
    assert found == {"a": ["10", "0", "10", "0"], "berlin": ["10", "10", "0", "10"]}


@pytest.mark.parametrize(
    ("event", "reasons"),
    [
        (usage(NOW, "nobody", {"n": 1}), [(None, "unknown_account")]),
        (usage(NOW, "a", {"n": 1}, "other"), [(None, "no_product")]),
        (usage(NOW, "a", {"n": True}), [("tokens", "bad_value")]),
        (usage(NOW, "a", None), [("tokens", "bad_value")]),
        (usage(NOW, "bare", {}), [("tokens", "bad_value"), ("calls", "no_rate_card")]),
        (usage(NOW, "bare", {"n": 1}), [("tokens", "no_rate_card"), ("calls", "no_rate_card")]),
        (usage(NOW, "lost", {"n": 1}), [(p, "unknown_rate_card") for p in ("tokens", "calls")]),
        (
            usage(NOW, "a", {"n": 1}, time=at("2025-12-31")),
            [("tokens", "no_version"), ("calls", "no_version")],
        ),
        (usage(NOW, "a", {"n": 1}, time=at("2026-02-01")), [("tokens", "no_rate")]),
        (
            usage(NOW, "a", {"n": 2, "model": "huge"}, time=at("2026-02-01")),
            [("tokens", "cost_out_of_range")],
        ),
    ],
)
def test_what_has_no_price_is_unrated(
    event: dict[str, Any], reasons: list[tuple[str | None, str]]
) -> None:
    """With its reason and its bytes; the event's other products are priced."""
    unrated = [row for row in outcome(event) if row["kind"] == RatedKind.UNRATED]
    assert reasons == [(row["product"], row["reason"]) for row in unrated]
    assert {event["data"]} == {row["data"] for row in unrated}


def test_a_negative_quantity_refuses_the_whole_event() -> None:
    """No product of it is priced, and its neighbours are."""
    good = usage(NOW, "a", {"n": 1})
    found = outcome(good, usage(NOW, "a", {"n": -1}), good)
    kinds = [RatedKind(row["kind"]).name for row in found]
    assert kinds == ["LINE", "LINE", "REFUSED", "LINE", "LINE"]
    assert (found[2]["product"], found[2]["reason"]) == (None, "negative_quantity")


def card(*versions: dict[str, Any]) -> dict[str, Any]:
    """CARD with other versions."""
    return {**CARD, "versions": list(versions)}


def other_card(rate: dict[str, Any]) -> dict[str, Any]:
    """A card that was not there, with one rate."""
    return {**card({**ONE, "rates": [rate]}), "id": "other"}


GRANT = {
    "kind": "Grant",
    "id": "g",
    "account": "nobody",
    "type": "prepaid",
    "amount": "1",
    "effective_at": "2026-01-01T00:00:00Z",
}
ONE, TWO = CARD["versions"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (TOKENS, None),
        ({**TOKENS, "name": "Tokens"}, None),
        (product("tokens", aggregation="count"), "conflict"),
        (product("tokens", aggregation="sum", value="m"), "conflict"),
        (CARD, None),
        (card(ONE), "immutable_version"),
        (card({**ONE, "rates": RATES[1:]}, TWO), "immutable_version"),
        (card({**ONE, "effective_from": "2026-01-02T00:00:00Z"}, TWO), "immutable_version"),
        (other_card({"product": "new", "price": unit("1")}), "unknown_product"),
        (
            other_card({"product": "calls", "match": {"m": "1"}, "price": unit("1")}),
            "invalid_document",
        ),
        (account("a", rate_card="card", name="A"), None),
        (account("a", rate_card="card", time_zone="Asia/Tokyo"), "conflict"),
        (GRANT, "unknown_account"),
    ],
)
def test_documents_are_taken_or_refused(fields: dict[str, Any], reason: str | None) -> None:
    """With the reason, and their bytes."""
    refused = [row for row in outcome(document(NOW, fields)) if row["reason"] is not None]
    assert ([] if reason is None else [reason]) == [row["reason"] for row in refused]


def test_a_version_in_effect_gains_rates_for_further_products() -> None:
    """The new product is priced by it from its place in the log on."""
    more = [*TWO["rates"], {"product": "seats", "price": unit("2")}]
    found = lines(
        usage(NOW, "a", {"n": 1}),
        document(NOW, product("seats", aggregation="sum", value="n")),
        document(NOW, card(ONE, {**TWO, "rates": more})),
        usage(NOW, "a", {"n": 1}),
    )
    assert [line[0] for line in found] == ["tokens", "calls", "tokens", "calls", "seats"]
