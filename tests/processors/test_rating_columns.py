"""The columnar rating fold gives what the reference gives, for every cut of the journal (I5)."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from processors.rating import columnar, known
from processors.rating.rated import Rated
from processors.rating.reference import ReferenceRating
from projections.rates.rows import decode_row, encode_row
from projections.rows import MemoryReader, Rows
from schemas.frames import JournalKind, RatedKind
from schemas.times import format_instant
from tests.rating import (
    at,
    cuts,
    document,
    journal,
    rated_by_columns,
    rated_by_reference,
    rated_in_one_go,
    tick,
    usage,
    voided_line,
)

START: Final = at("2026-01-30")
MINUTE: Final = 60_000_000
DAY: Final = 24 * 60 * MINUTE
ACCOUNTS: Final = ("a", "b", "c", "unknown")
ZONES: Final = {"a": "UTC", "b": "America/New_York", "c": "Asia/Kathmandu", "unknown": "UTC"}
TIERS: Final = [
    {"up_to": "5", "unit_price": "2", "flat": "1"},
    {"up_to": "12.5", "unit_price": "0.3333"},
    {"unit_price": "0.000000000001", "flat": "0.5"},
]
PRICES: Final = (
    {"model": "unit", "unit_price": "0.000000000333", "per": "3"},
    {"model": "unit", "unit_price": "2.5", "per": "1000"},
    {"model": "unit", "unit_price": "1000000000000000000", "per": "0.000000001"},
    {"model": "flat", "price": "0.0000000005"},
    {"model": "flat", "price": "3"},
    {"model": "package", "size": "7", "price": "1.5"},
    {"model": "package", "size": "0.5", "price": "1000000000000000000"},
    {"model": "graduated", "tiers": TIERS},
    {"model": "volume", "tiers": TIERS},
    {"model": "volume", "tiers": [{"up_to": "7", "unit_price": "1"}, {"unit_price": "0"}]},
)
VALUES: Final = (
    *(b"0", b"1", b"7", b"12.5", b"0.000000001", b'"3.25"', b"1e2", b"999999999999999999"),
    *(b"1000000000000000000", b"1000000000000000001", b"-1", b"-0", b"1.0000000001", b"1e400"),
    *(b"true", b"null", b'"x"', b"[1]", b'"\\u0031"'),
)
COMMON: Final = (b"1", b"2", b"3.5", b"7")
DIMENSIONS: Final = (
    *(b'"x"', b'"y"', b'"\\u0078"', b"1", b"1.50", b"true", b"null", b"{}", b'"\\ud800"'),
    '"ü"'.encode(),
)

minutes = st.integers(-40, 40)
value = st.sampled_from((*COMMON * 15, *VALUES))
dimension = st.sampled_from((b'"x"', b'"y"', b'"x"', b'"1"', *DIMENSIONS))
price = st.sampled_from(PRICES)
match = st.sampled_from(({}, {}, {"model": "x"}, {"model": "y"}, {"model": "1"}, {"model": "true"}))


@st.composite
def data(draw: st.DrawFn) -> bytes | None:
    """`data` of any kind, mostly with what is metered."""
    if draw(st.integers(0, 19)) == 19:
        return draw(st.sampled_from((None, b"[]", b"3", b"{}", b'"text"')))
    members = [b'"n":' + draw(value), b'"model":' + draw(dimension)]
    if draw(st.booleans()):
        members.append(b'"deep":{"region":' + draw(dimension) + b',"n":' + draw(value) + b"}")
    if draw(st.integers(0, 9)) == 9:
        members.append(b'"n":' + draw(value))
    return b"{" + b",".join(members) + b"}"


@st.composite
def rate_card(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A rate card of up to three versions."""
    deep = st.sampled_from(({}, {"deep.region": "x"}, {"deep.region": "x", "model": "x"}))
    versions = []
    for number in range(1, draw(st.integers(1, 3)) + 1):
        rates = [{"product": "p", "match": draw(match), "price": draw(price)} for _ in range(2)]
        rates += [{"product": "q", "match": draw(deep), "price": draw(price)} for _ in range(2)]
        rates += [{"product": name, "price": draw(price)} for name in ("r", "m", "u")]
        unique = {(rate["product"], str(rate.get("match", {}))): rate for rate in rates}
        start = START + number - (DAY * 10 if number == 1 else draw(minutes) * MINUTE)
        versions.append(
            {
                "version": number,
                "effective_from": format_instant(start),
                "rates": [*unique.values()],
            }
        )
    return {"kind": "RateCard", "id": name, "versions": versions}


def _product(name: str, event_type: str = "call", **fields: Any) -> dict[str, Any]:
    tags = fields.pop("tags", [])
    meter = {"event_type": event_type, **fields}
    return {"kind": "Product", "id": name, "tags": tags, "meter": meter}


SUM: Final = {"aggregation": "sum"}
COUNT: Final = {"aggregation": "count"}
PRODUCTS: Final = (
    _product("p", **SUM, value="n", dimensions=["model"], tags=["one", "two"]),
    _product("q", **SUM, value="deep.n", dimensions=["deep.region", "model"], tags=["two"]),
    _product("r", **COUNT, filter={"model": "x"}),
    _product("m", aggregation="max", value="n", filter={"deep.region": "x"}, tags=["one"]),
    _product("u", aggregation="unique", value="model"),
    _product("p", **COUNT),
    _product("s", "view", **SUM, value="n"),
    _product("r", **COUNT, tags=["two"]),
    {"kind": "Pack", "id": "pack", "amount": "5", "price": {"amount": "1", "currency": "EUR"}},
)
LIMITS: Final[tuple[list[dict[str, Any]], ...]] = (
    [],
    [{"id": "l", "by": "model", "amount": "5", "period": "daily"}],
    [
        {"id": "l", "by": "deep.region", "products": ["p"], "amount": "5", "period": "weekly"},
        {"id": "all", "by": "account", "amount": "5", "period": "daily"},
        {"id": "k", "by": "model", "products": ["p", "q"], "amount": "5", "period": "daily"},
    ],
)
instant = minutes.map(lambda count: format_instant(START + count * MINUTE))


@st.composite
def override(draw: st.DrawFn) -> dict[str, Any]:
    """Another price, for a product or a tag, perhaps for a while."""
    fields: dict[str, Any] = draw(
        st.sampled_from(({"product": "p"}, {"product": "m"}, {"tag": "one"}, {"tag": "two"}))
    ) | {"match": draw(match)}
    if draw(st.booleans()):
        fields["price"] = draw(price)
    else:
        fields["multiplier"] = draw(st.sampled_from(("0", "0.9", "0.333333333", "2")))
    if draw(st.booleans()):
        fields["effective_from"] = draw(instant)
    elif draw(st.booleans()):
        fields["effective_to"] = draw(instant)
    return fields


@st.composite
def terms(draw: st.DrawFn) -> dict[str, Any]:
    """What an amendment may change of a contract."""
    cards = (None, "standard", {"id": "standard", "version": 2}, {"id": "none", "version": 1})
    covers = (
        None,
        None,
        {"products": ["p"]},
        {"tags": ["two"]},
        {"products": ["m"], "tags": ["x"]},
    )
    billings = (None, {"cycle": "monthly", "anchor": "2025-10-31"}, {"cycle": "annual"})
    return {
        "rate_card": draw(st.sampled_from(cards)),
        "covers": draw(st.sampled_from(covers)),
        "overrides": draw(st.lists(override(), max_size=3)),
        "limits": draw(st.sampled_from(LIMITS)),
        "billing": draw(st.sampled_from(billings)),
    }


@st.composite
def contract(draw: st.DrawFn) -> dict[str, Any]:
    """One of a few contracts, most of them in force for a while around START."""
    starts_at = START - draw(st.integers(-5, 90)) * MINUTE
    ends_at = draw(st.sampled_from((None, starts_at + 90 * MINUTE, starts_at + 9 * DAY)))
    return {
        "kind": "Contract",
        "id": draw(st.sampled_from(("k1", "k2", "k3"))),
        "account": draw(st.sampled_from(("a", "a", "a", "a", "b", "unknown"))),
        "starts_at": format_instant(starts_at),
        "ends_at": None if ends_at is None else format_instant(ends_at),
        "renews": draw(st.sampled_from((None,) * 9 + ("k0",))),
        **draw(terms()),
    }


@st.composite
def command(draw: st.DrawFn) -> dict[str, Any]:
    """A command that rating takes or passes on, by one of a few ids."""
    number = str(draw(st.integers(0, 40)))
    common = {"id": number, "account": draw(st.sampled_from("aaaab"))}
    named = {"contract": draw(st.sampled_from(("k1", "k1", "k2")))}
    match draw(st.integers(0, 3)):
        case 0:
            changes = draw(terms())
            kept = draw(st.lists(st.sampled_from(sorted(changes)), min_size=1))
            return {
                "kind": "amend_contract",
                **common,
                **named,
                "effective_at": draw(instant),
                "changes": {name: changes[name] for name in kept},
            }
        case 1:
            end = {"at": draw(instant), "policy": "expire"}
            return {"kind": "terminate_contract", **common, **named, **end}
        case 2:
            pack = draw(st.sampled_from(("pack", "none")))
            return {"kind": "purchase", **common, "pack": pack, "quantity": "2"}
        case _:
            return {"kind": "set_seats", **common, **named, "seats": 2}


@st.composite
def account(draw: st.DrawFn) -> dict[str, Any]:
    """An account, its terms sometimes others than before."""
    name = draw(st.sampled_from(ACCOUNTS))
    return {
        "kind": "Account",
        "id": name,
        "rate_card": draw(st.sampled_from(("standard", "standard", None, "none"))),
        "time_zone": draw(st.sampled_from((ZONES[name], "UTC"))),
        "limits": draw(st.sampled_from(LIMITS)),
    }


@st.composite
def grant(draw: st.DrawFn) -> dict[str, Any]:
    """A grant, which rating only passes on."""
    return {
        "kind": "Grant",
        "id": "g",
        "account": draw(st.sampled_from(ACCOUNTS)),
        "type": "prepaid",
        "amount": "1",
        "effective_at": "2026-01-01T00:00:00Z",
    }


any_document = st.one_of(
    rate_card("standard"),
    st.sampled_from(PRODUCTS),
    account(),
    grant(),
    contract(),
    contract(),
    command(),
    command(),
)
correction = st.fixed_dictionaries(
    {
        "correct": st.sampled_from(("void_usage", "replay", "backfill")),
        "id": st.integers(0, 40).map(str),
        "which": st.integers(0, 30),
        "product": st.sampled_from((None, None, "p", "u", "zzz")),
    }
)


@st.composite
def event(draw: st.DrawFn, now: int) -> dict[str, Any]:
    """A usage event, late or not."""
    return usage(
        now,
        draw(st.sampled_from((*"aaaaaabc", "unknown"))),
        draw(data()),
        draw(st.sampled_from((*("call",) * 9, "view", "other"))),
        time=now - draw(st.sampled_from((0, 3 * MINUTE, 40 * MINUTE, 2 * DAY, -MINUTE))),
        contract=draw(st.sampled_from((None, None, None, "k1", "k2", "none"))),
    )


@st.composite
def intents(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Documents, ticks, usage and corrections in any order: journal rows, or what to correct."""
    now, rows = START, []
    rows += [document(now, product) for product in PRODUCTS[:5]]
    rows.append(document(now, draw(rate_card("standard"))))
    for name in "abc":
        card = (
            draw(st.sampled_from(("standard", "standard", "none"))) if name == "c" else "standard"
        )
        fields = {
            "rate_card": card,
            "time_zone": ZONES[name],
            "limits": draw(st.sampled_from(LIMITS)),
        }
        rows.append(document(now, {"kind": "Account", "id": name, **fields}))
    rows += [document(now, draw(contract())) for _ in range(draw(st.integers(0, 3)))]
    for _ in range(draw(st.integers(1, 50))):
        now += draw(st.integers(-5, 20)) * MINUTE
        match draw(st.integers(0, 19)):
            case 16:
                rows.append(tick(now))
            case 13 | 14 | 15:
                rows.append(document(now, draw(any_document)))
            case 17 | 18 | 19:
                rows.append({"at": now, **draw(correction)})
            case _:
                rows.append(draw(event(now)))
    return rows


def resolved(wanted: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Journal rows: a correction is made of what the reference has rated up to its place.

    Three events have the ids that backfills have too.
    """
    model = ReferenceRating(Rows(MemoryReader(), encode_row, decode_row))
    rated: list[Rated] = []
    shared = [f"old{number}" for number in range(3)]
    for index, intent in enumerate(wanted):
        row = _correction(intent, rated) if "correct" in intent else intent
        if row["kind"] == JournalKind.USAGE:
            meets = index % 5 == 0 and shared
            row = {**row, "id": shared.pop() if meets else f"e{index}"}
        rated += model.rate(journal([row]).row(0, named=True))
        yield row


def _correction(intent: dict[str, Any], rated: list[Rated]) -> dict[str, Any]:
    events = list(dict.fromkeys((r.account, r.source, r.id) for r in rated if r.id is not None))
    account, source, event = events[intent["which"] % len(events)] if events else ("a", "test", "e")
    fields = {"kind": intent["correct"], "id": intent["id"], "account": account}
    if intent["correct"] == "backfill":
        content = {"specversion": "1.0", "id": event, "source": source, "subject": account}
        if intent["which"] % 2:
            content["id"] = f"old{intent['which'] % 3}"
        content |= {"type": "call", "time": format_instant(START - intent["which"] * MINUTE)}
        text = json.dumps({**content, "data": {"n": intent["which"] % 3, "model": "x"}})
        return document(intent["at"], {**fields, "event": text})
    fields |= {"source": source, "event": event}
    if intent["correct"] == "replay":
        return document(intent["at"], {**fields, "product": intent["product"]})
    mine = [r for r in rated if (r.account, r.source, r.id) == (account, source, event)]
    lines = [r for r in mine if r.kind == RatedKind.LINE and r.mirror is None]
    if lines:
        fields |= {"time": format_instant(lines[0].time or 0)}
    return document(intent["at"], {**fields, "lines": [voided_line(line) for line in lines]})


@pytest.mark.parametrize(("few", "most"), [(0, known.MOST), (3, 5)])
@settings(max_examples=150)
@given(
    wanted=intents(),
    edges=st.lists(st.integers(0, 50), max_size=6),
    keep=st.sampled_from((0, 3, 1000)),
)
def test_columns_equal_the_reference_for_every_cut(
    few: int, most: int, wanted: list[dict[str, Any]], edges: list[int], keep: int
) -> None:
    frame = journal(list(resolved(wanted)))
    expected, expected_rows = rated_by_reference(frame)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columnar, "FEW", few)
        patch.setattr(known, "MOST", most)
        actual, actual_rows = rated_by_columns(cuts(frame, edges))
        going_on, going_on_rows = rated_in_one_go(cuts(frame, edges), keep)
    assert_frame_equal(expected, actual)
    assert_frame_equal(expected, going_on)
    assert expected_rows == actual_rows
    assert expected_rows == going_on_rows
