"""The columnar rating fold gives what the reference gives, for every cut of the journal (I5)."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.rating import (
    at,
    cuts,
    document,
    journal,
    rated_by_columns,
    rated_by_reference,
    tick,
    usage,
)

START = at("2026-01-30")
MINUTE = 60_000_000
ACCOUNTS = ("a", "b", "c", "unknown")
PRICES = (
    {"model": "unit", "unit_price": "0.000000000333", "per": "3"},
    {"model": "unit", "unit_price": "2.5", "per": "1000"},
    {"model": "unit", "unit_price": "1000000000000000000", "per": "0.000000001"},
    {"model": "flat", "price": "0.0000000005"},
    {"model": "flat", "price": "3"},
    {"model": "package", "size": "7", "price": "1.5"},
    {"model": "package", "size": "0.5", "price": "1000000000000000000"},
)
VALUES: tuple[Any, ...] = (
    *(b"0", b"1", b"7", b"12.5", b"0.000000001", b'"3.25"', b"1e2", b"999999999999999999"),
    *(b"1000000000000000000", b"1000000000000000001", b"-1", b"-0", b"1.0000000001", b"1e400"),
    *(b"true", b"null", b'"x"', b"[1]", b'"\\u0031"'),
)
DIMENSIONS = (b'"x"', b'"y"', b'"\\u0078"', b"1", b"1.50", b"true", b"null", b"{}")

value = st.sampled_from(VALUES)
dimension = st.sampled_from(DIMENSIONS)


@st.composite
def data(draw: st.DrawFn) -> bytes | None:
    """`data` of any kind, mostly with what is metered."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from((None, b"[]", b"3", b"{}", b'"text"')))
    members = [b'"n":' + draw(value), b'"model":' + draw(dimension)]
    if draw(st.booleans()):
        members.append(b'"deep":{"region":' + draw(dimension) + b',"n":' + draw(value) + b"}")
    if draw(st.integers(0, 5)) == 0:
        members.append(b'"n":' + draw(value))
    return b"{" + b",".join(members) + b"}"


@st.composite
def rate_card(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A rate card of up to three versions."""
    price = st.sampled_from(PRICES)
    match = st.sampled_from(({}, {"model": "x"}, {"model": "y"}, {"model": "1"}, {"model": "true"}))
    deep = st.sampled_from(({}, {"deep.region": "x"}, {"deep.region": "x", "model": "x"}))
    versions = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        rates = [{"product": "p", "match": draw(match), "price": draw(price)} for _ in range(2)]
        rates += [{"product": "q", "match": draw(deep), "price": draw(price)} for _ in range(2)]
        rates += [{"product": "r", "price": draw(price)}]
        unique = {(rate["product"], str(rate.get("match", {}))): rate for rate in rates}
        start = START + (number - 2) * draw(st.integers(1, 40)) * MINUTE + number
        versions.append(
            {"version": number, "effective_from": _text(start), "rates": [*unique.values()]}
        )
    return {"kind": "RateCard", "id": name, "versions": versions}


def _text(instant: int) -> str:
    from schemas.times import format_instant

    return format_instant(instant)


def _product(name: str, event_type: str = "call", **meter: Any) -> dict[str, Any]:
    return {"kind": "Product", "id": name, "meter": {"event_type": event_type, **meter}}


SUM = {"aggregation": "sum"}
COUNT = {"aggregation": "count"}
PRODUCTS = (
    _product("p", **SUM, value="n", dimensions=["model"]),
    _product("q", **SUM, value="deep.n", dimensions=["deep.region", "model"]),
    _product("r", **COUNT),
    _product("p", **COUNT),
    _product("s", "view", **SUM, value="n"),
)


@st.composite
def journals(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Documents, ticks and usage in any order."""
    now, rows = START, []
    rows += [document(now, product) for product in PRODUCTS[:3]]
    rows.append(document(now, draw(rate_card("standard"))))
    zones = {"a": "UTC", "b": "America/New_York", "c": "Asia/Kathmandu"}
    rows += [
        document(now, {"kind": "Account", "id": name, "rate_card": card, "time_zone": zones[name]})
        for name, card in (
            ("a", "standard"),
            ("b", "standard"),
            ("c", draw(st.sampled_from(("standard", "none")))),
        )
    ]
    for _ in range(draw(st.integers(1, 25))):
        now += draw(st.integers(-5, 20)) * MINUTE
        match draw(st.integers(0, 12)):
            case 0:
                rows.append(tick(now))
            case 1:
                rows.append(document(now, draw(rate_card("standard"))))
            case 2:
                rows.append(document(now, draw(st.sampled_from(PRODUCTS))))
            case 3:
                card = draw(st.sampled_from(("standard", None, "none")))
                zone = draw(st.sampled_from(("UTC", "America/New_York")))
                name = draw(st.sampled_from(ACCOUNTS))
                rows.append(
                    document(
                        now, {"kind": "Account", "id": name, "rate_card": card, "time_zone": zone}
                    )
                )
            case 4:
                grant = {
                    "kind": "Grant",
                    "id": "g",
                    "account": draw(st.sampled_from(ACCOUNTS)),
                    "type": "prepaid",
                    "amount": "1",
                    "effective_at": "2026-01-01T00:00:00Z",
                }
                rows.append(document(now, grant))
            case _:
                late = draw(st.integers(-90, 3)) * 60 * MINUTE
                kind = draw(st.sampled_from(("call", "call", "call", "view", "other")))
                rows.append(
                    usage(now, draw(st.sampled_from(ACCOUNTS)), draw(data()), kind, time=now + late)
                )
    return rows  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(rows=journals(), edges=st.lists(st.integers(0, 40), max_size=6))
def test_columns_equal_the_reference_for_every_cut(
    rows: list[dict[str, Any]], edges: list[int]
) -> None:
    frame = journal(rows)
    expected, expected_rows = rated_by_reference(frame)
    actual, actual_rows = rated_by_columns(cuts(frame, edges))
    assert_frame_equal(expected, actual)
    assert expected_rows == actual_rows
