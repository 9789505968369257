import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.documents import (
    CATALOG_KINDS,
    COMMAND_KINDS,
    CREDITS_KINDS,
    DEFAULT_BURN_POLICY,
    MODELS,
    Account,
    AmendContract,
    Contract,
    Cost,
    FlatModel,
    GraduatedModel,
    Grant,
    Overage,
    Pack,
    PackageModel,
    Percent,
    PinnedCard,
    Product,
    Rate,
    RateCard,
    Tier,
    UnitModel,
    VoidUsage,
    VolumeModel,
    canonical,
    parse_document,
)
from schemas.money import Money
from schemas.numbers import Credits, Quantity, UnitPrice
from schemas.reasons import Reason, Refusal
from schemas.times import format_instant
from tests.schemas.documents import (
    JANUARY,
    JULY,
    accepted,
    account,
    amendment,
    card,
    command,
    contract,
    fee,
    grant,
    limit,
    line,
    override,
    pack,
    priced,
    product,
    rate,
    recurring,
    refused,
    rule,
    version,
)

TIERS = [{"up_to": "5", "unit_price": "2"}, {"unit_price": "1", "flat": "3"}]
ROLLOVER = {"mode": "percent", "percent": "50", "of": "issued", "cap": "9", "max_times": 2}
TERMS = {
    "burn_policy": ["-cost_basis", "issued_at"],
    "overage": {"mode": "cap", "cap": {"percent": "150"}, "multiplier": "1.5"},
    "limits": [limit(products=["tokens"]), limit(id="all", by="account", period="monthly")],
    "recurring": [
        recurring(expiry="end_of_period"),
        recurring(id="m", expiry="P1M", rollover=ROLLOVER, anchor="2026-01-31"),
    ],
    "fees": [fee(anchor="2026-02-01")],
    "top_up": {"threshold": "10", "target": "100", "max_per_period": 4},
    "alerts": [
        rule(products=["tokens"], at_most_daily=True),
        rule(id="days", measure="days_left", thresholds=["7.5"]),
        rule(id="ends", measure="grant_expiring", thresholds=["30", "7"]),
    ],
}
WHOLE = [
    product(tags=["ai"], meter={"event_type": "x", "aggregation": "unique", "value": "u"}),
    product(meter={"event_type": "x", "aggregation": "max", "value": "v", "filter": {"a.b": "c"}}),
    card(version(rates=[rate(price={"model": "graduated", "tiers": TIERS})])),
    card(version(rates=[rate(price={"model": "volume", "tiers": TIERS})])),
    pack(breaks=[{"from_quantity": "10", "price": {"amount": "8", "currency": "USD"}}]),
    pack(type="promotional", price=None, expiry="P1Y", tags=["ai"], rollover={"mode": "full"}),
    account(**TERMS),
    account(overage={"mode": "grace", "grace": "PT36H", "settle": "next_grant"}),
    contract(),
    contract(
        **TERMS,
        rate_card={"id": "standard", "version": 2},
        covers={"products": ["tokens"], "tags": ["ai"]},
        overrides=[
            override(match={"model": "large"}, effective_from=JANUARY, effective_to=JULY),
            {"tag": "ai", "price": {"model": "graduated", "tiers": TIERS}},
        ],
        billing={"cycle": "quarterly", "anchor": "2026-01-31", "net_terms": 30, "auto_pay": True},
        grants=[{"id": "g1", "type": "prepaid", "amount": "10"}],
        seats=25,
        renews="c0",
        marketplace={"provider": "aws", "offer": "o-1"},
        opportunity="006",
        payment_schedule=[{"due": JULY, "amount": "500", "currency": "EUR"}],
    ),
    contract(
        ends_at=None,
        rate_card="standard",
        overage={"mode": "cap", "cap": "5"},
        recurring=[recurring(per_seat=True)],
        fees=[fee(per_seat=True)],
    ),
    grant(contract="c1", tags=["ai"], rollover=ROLLOVER, funding="pending", request="r"),
    command("void_grant", grant="daily@2026-01-01~2"),
    command("refund_grant", grant="g1"),
    command("adjust_grant", grant="g1", amount="-2.5", reason="credit note"),
    command("fund_grant", grant="g1"),
    command("purchase", pack="p", quantity="3", contract="c1", effective_at=JULY),
    command("void_usage", source="api", event="e 1"),
    command(
        "void_usage",
        source="api",
        event="e1",
        time=JANUARY,
        lines=[
            line(),
            line(
                contract="c1",
                match="{}",
                rate_card="standard",
                version=2,
                revision=1,
                override=0,
                price='{"model":"flat","price":"2"}',
                period=JANUARY,
                cost="-2",
                slices=[{"grant": "g~1", "amount": "-2"}],
                entities="[]",
            ),
        ],
    ),
    command("replay", source="api", event="e1"),
    command("backfill", event='{"id": "e1"}'),
    amendment(overage={"multiplier": "1.5"}, covers=None, overrides=[override()]),
    command("terminate_contract", contract="c1", at=JULY, policy="to_account"),
    command("set_seats", contract="c1", seats=0),
    command("settle_overage", amount="12.5", reference="invoice 7"),
    command("top_up_failed", request="r", reason="card declined"),
    command("place_hold", product="p", amount="0.000000001", contract="c1", expires_in="PT1S"),
    command("place_hold", product="p", amount="1", expires_in="P7D"),
    command("capture_hold", hold="h1"),
    command("capture_hold", hold="h1", amount="2.5"),
    command("release_hold", hold="h1"),
]
RAW = [
    (b"", "malformed_json"),
    (b"{", "malformed_json"),
    (b"\xff{}", "not_utf8"),
    (b"\xef\xbb\xbf{}", "malformed_json"),
    (b'{"kind": NaN}', "malformed_json"),
    (b'{"kind": -Infinity}', "malformed_json"),
    (b'{"kind": 1, "kind": 2}', "malformed_json"),
    (b'{"kind": "\\ud800"}', "malformed_json"),
    (b'{"\\udfff": 1}', "malformed_json"),
    (b"{} {}", "malformed_json"),
    (b'{"a": "\n"}', "malformed_json"),
    (b"[" * 10_000 + b"]" * 10_000, "too_deep"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "too_deep"),
    (b" " * 1_000_001, "too_large"),
    (b"[]", "invalid_document"),
    (b"1", "invalid_document"),
    (b"{}", "unknown_kind"),
    (b'{"kind": ["Product"]}', "unknown_kind"),
    (b'{"kind": "Prodcut"}', "unknown_kind"),
]


@pytest.mark.parametrize(("raw", "reason"), RAW)
def test_bytes_that_are_no_document_have_their_own_reason(raw: bytes, reason: str) -> None:
    """Bytes that are no document have their own reason."""
    parsed = parse_document(raw)
    assert isinstance(parsed, list)
    assert [reason] == [fault.reason.value for fault in parsed]


def test_every_fault_is_told_at_once() -> None:
    """Every fault is told at once."""
    wrong = grant(amount="x", priority=200, tags=[], colour="red", cost={"amount": 1})
    assert {"amount", "priority", "tags", "colour", "cost.currency"} == {
        path for _, path in refused(wrong)
    }


def test_an_unknown_field_is_called_one() -> None:
    """An unknown field is called one."""
    assert [Refusal(Reason.INVALID_DOCUMENT, "unknown field", "meter.colour")] == parse_document(
        product(meter={"event_type": "x", "aggregation": "count", "colour": "red"})
    )


def test_numbers_of_json_are_taken_from_their_literal() -> None:
    """Numbers of JSON are taken from their literal."""
    raw = json.dumps(grant(amount="?", cost={"amount": "?", "currency": "USD"}))
    parsed = parse_document(raw.replace('"?"', "0.100000001000").encode())
    assert isinstance(parsed, Grant)
    assert Credits.parse("0.100000001") == parsed.amount
    assert parsed.cost == Cost(amount=parsed.amount, currency="USD")
    assert parsed.cost is not None
    assert Money(100_000_001, "USD") == parsed.cost.money


@pytest.mark.parametrize("number", ["1.5", "1e3", "7", "1" * 70])
def test_a_number_of_json_is_no_text(number: str) -> None:
    """A number of JSON is no text."""
    raw = json.dumps(account(id="?", name="?")).replace('"?"', number)
    assert {("invalid_document", "id"), ("invalid_document", "name")} == refused(raw.encode())


@pytest.mark.parametrize("number", ["50.0", "5e1", '"50"', "true", "1" * 70])
def test_a_priority_is_a_whole_number(number: str) -> None:
    """A priority is a whole number."""
    raw = json.dumps(grant(priority="?")).replace('"?"', number)
    assert {("invalid_document", "priority")} == refused(raw.encode())


def test_a_floating_point_number_never_passes() -> None:
    """A floating point number never passes."""
    for document in (
        grant(amount=1.0),
        grant(priority=50.0),
        card(version(1.0)),  # type: ignore[arg-type]
        priced(model="flat", price=0.5),
        account(alerts=[rule(thresholds=[20.0])]),
    ):
        assert {"invalid_document"} == {reason for reason, _ in refused(document)}


def test_a_product_meters_a_path_of_the_data() -> None:
    """A product meters a path of the data."""
    parsed = accepted(product(name="Tokens"))
    assert isinstance(parsed, Product)
    assert (
        parsed.meter.event_type,
        parsed.meter.aggregation,
        parsed.meter.value,
    ) == ("llm", "sum", "tokens")
    assert parsed.meter.dimensions == ("model",)


def test_a_rate_card_keeps_the_order_of_its_rates_and_versions() -> None:
    """A rate card keeps the order of its rates and versions."""
    rates = [
        rate(match={"model": "large"}),
        rate(price={"model": "flat", "price": "2"}),
        rate(price={"model": "package", "size": "1000", "price": "0.25"}),
    ]
    parsed = accepted(card(version(rates=rates), version(3, JULY, rates=[])))
    assert isinstance(parsed, RateCard)
    first, second = parsed.versions
    assert [UnitModel, FlatModel, PackageModel] == [type(rate.price) for rate in first.rates]
    assert (
        Rate(
            product="tokens",
            match={"model": "large"},
            price=UnitModel(
                model="unit", unit_price=UnitPrice.parse("0.5"), per=Quantity.parse("1")
            ),
        )
        == first.rates[0]
    )
    assert (
        second.version,
        format_instant(second.effective_from),
        second.rates,
    ) == (3, JULY, ())


def test_an_account_has_the_defaults_of_credits_md() -> None:
    """An account has the defaults of credits.md."""
    parsed = accepted({"kind": "Account", "id": "acme"})
    assert isinstance(parsed, Account)
    assert (
        parsed.time_zone,
        parsed.rate_card,
        parsed.alerts,
        parsed.late_grace,
    ) == ("UTC", None, None, "PT48H")
    assert (
        parsed.overage.mode,
        str(parsed.overage.multiplier),
        parsed.overage.settle,
    ) == ("allow", "1", "invoice")


def test_no_alert_rules_differ_from_the_default_one() -> None:
    """No alert rules differ from the default one."""
    assert canonical(accepted(account())) != canonical(accepted(account(alerts=[])))


def test_a_grant_has_the_defaults_of_credits_md() -> None:
    """A grant has the defaults of credits.md."""
    parsed = accepted(grant())
    assert isinstance(parsed, Grant)
    assert (
        parsed.priority,
        parsed.expires_at,
        parsed.products,
        parsed.cost,
    ) == (50, None, None, None)


def test_a_product_has_tags_and_a_filter() -> None:
    """A product has tags and a filter."""
    parsed = accepted(product(tags=["ai", "Gen AI"], meter=WHOLE[1]["meter"]))
    assert isinstance(parsed, Product)
    assert (parsed.tags, parsed.meter.filter) == (("ai", "Gen AI"), {"a.b": "c"})


def test_tiers_are_kept_in_their_order() -> None:
    """Tiers are kept in their order."""
    wanted = (
        Tier(up_to=Quantity.parse("5"), unit_price=UnitPrice.parse("2")),
        Tier(unit_price=UnitPrice.parse("1"), flat=UnitPrice.parse("3")),
    )
    for model in (
        GraduatedModel(model="graduated", tiers=wanted),
        VolumeModel(model="volume", tiers=wanted),
    ):
        parsed = accepted(priced(model=model.model, tiers=TIERS))
        assert isinstance(parsed, RateCard)
        assert model == parsed.versions[0].rates[0].price


def test_a_pack_is_sold_at_the_price_of_the_last_break_that_is_reached() -> None:
    """A pack is sold at the price of the last break that is reached."""
    breaks = [
        {"from_quantity": count, "price": {"amount": price, "currency": "USD"}}
        for count, price in ((10, "8"), (100, "7.5"))
    ]
    parsed = accepted(pack(breaks=breaks))
    assert isinstance(parsed, Pack)
    bought = {count: parsed.price_of(count) for count in (1, 9, 10, 99, 100, 1_000)}
    assert [str(price.amount) for price in bought.values() if price] == [
        "9",
        "9",
        "8",
        "8",
        "7.5",
        "7.5",
    ]


def test_a_contract_has_the_defaults_of_credits_md() -> None:
    """A contract has the defaults of credits.md."""
    parsed = accepted(contract(ends_at=None))
    assert isinstance(parsed, Contract)
    assert (parsed.rate_card, parsed.covers, parsed.billing, parsed.ends_at) == (None,) * 4
    assert (parsed.burn_policy, parsed.overage, parsed.alerts) == (None, Overage(), ())
    assert parsed.seats == 1
    assert DEFAULT_BURN_POLICY[:2] == ("priority", "contract_first")


def test_a_rate_card_is_followed_or_pinned() -> None:
    """A rate card is followed or pinned."""
    followed = accepted(contract(rate_card="standard"))
    pinned = accepted(contract(rate_card={"id": "standard", "version": 2}))
    assert isinstance(followed, Contract)
    assert isinstance(pinned, Contract)
    assert followed.rate_card == "standard"
    assert PinnedCard(id="standard", version=2) == pinned.rate_card


def test_a_cap_is_an_amount_or_a_percentage() -> None:
    """A cap is an amount or a percentage."""
    amount = accepted(account(overage={"mode": "cap", "cap": 5}))
    percent = accepted(account(overage={"mode": "cap", "cap": {"percent": "12.5"}}))
    assert isinstance(amount, Account)
    assert isinstance(percent, Account)
    assert Credits.parse("5") == amount.overage.cap
    assert Percent(percent=Quantity.parse("12.5")) == percent.overage.cap


def test_a_contract_fills_in_what_its_grants_leave_out() -> None:
    """A contract fills in what its grants leave out."""
    first = {"id": "g1", "type": "prepaid", "amount": "10", "tags": ["ai"]}
    parsed = accepted(contract(grants=[first, first | {"id": "g2", "effective_at": JULY}]))
    assert isinstance(parsed, Contract)
    assert (
        accepted(grant(contract="c1", tags=["ai"])),
        accepted(grant(id="g2", contract="c1", tags=["ai"], effective_at=JULY)),
    ) == parsed.own_grants()


def test_the_lines_of_a_void_keep_their_signs() -> None:
    """The lines of a void keep their signs."""
    drawn = line(quantity="-1", cost="-2", slices=[{"grant": "g~1", "amount": "-2"}])
    parsed = accepted(command("void_usage", source="api", event="e1", lines=[drawn]))
    assert isinstance(parsed, VoidUsage)
    (recorded,) = parsed.lines
    assert (Quantity.parse("-1"), Credits.parse("-2")) == (recorded.quantity, recorded.cost)
    assert [("g~1", Credits.parse("-2"))] == [(s.grant, s.amount) for s in recorded.slices]


@pytest.mark.parametrize("number", ["1.50", "1e3", "-0.5", "7", "1" * 70, "123456789" * 4])
def test_the_numbers_of_an_amendment_stay_as_they_were_written(number: str) -> None:
    """The numbers of an amendment stay as they were written."""
    raw = json.dumps(amendment(overage={"multiplier": "?"})).replace('"?"', number).encode()
    parsed = parse_document(raw)
    assert isinstance(parsed, AmendContract)
    assert f'"multiplier":{number}}}'.encode() in canonical(parsed)
    assert parsed == parse_document(canonical(parsed))


def test_every_kind_stands_in_one_topic_and_in_the_table_of_whole_documents() -> None:
    """Every kind stands in one topic and in the table of whole documents."""
    assert list(MODELS) == [*CATALOG_KINDS, *CREDITS_KINDS]
    assert ("Account", "Contract", "Grant", *COMMAND_KINDS) == CREDITS_KINDS
    assert set(MODELS) == {document["kind"] for document in WHOLE}


@pytest.mark.parametrize("document", WHOLE)
def test_canonical_bytes_parse_to_the_same_document(document: dict[str, Any]) -> None:
    """Canonical bytes parse to the same document."""
    parsed = accepted(document)
    assert parsed == parse_document(canonical(parsed))
    assert (
        canonical(parsed)
        == json.dumps(
            json.loads(canonical(parsed)), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
    )


SAME = [
    (grant(amount="10"), grant(amount="10.00")),
    (grant(amount="10"), grant(amount=10)),
    (grant(amount="10"), grant(amount="1e1")),
    (grant(), grant(priority=50, cost=None)),
    (grant(effective_at=JANUARY), grant(effective_at="2026-01-01T01:00:00.000+01:00")),
    (account(), account(overage={"mode": "allow", "multiplier": 1, "settle": "invoice"})),
    (account(), account(time_zone="UTC", late_grace="PT48H")),
    (card(version()), priced(model="unit", unit_price="0.50", per="1")),
    (product(), product(tags=[], meter=product()["meter"] | {"filter": {}})),
    (contract(), contract(starts_at="2026-01-01T02:00:00+02:00", seats=1, overage={})),
    (contract(), contract(covers=None, alerts=[], renews=None)),
    (grant(), grant(funding="paid", contract=None, rollover=None)),
    (command("purchase", pack="p", quantity="2.0"), command("purchase", pack="p", quantity=2)),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_the_same_content_has_the_same_bytes(left: dict[str, Any], right: dict[str, Any]) -> None:
    """The same content has the same bytes."""
    assert canonical(accepted(left)) == canonical(accepted(right))


@given(
    st.builds(
        grant,
        amount=st.decimals("0.000000001", "1e18", places=9).map(str),
        priority=st.integers(0, 100),
        type=st.sampled_from(["prepaid", "promotional"]),
        products=st.none() | st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True),
        source=st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=9),
    )
)
def test_canonical_bytes_are_the_document(document: dict[str, Any]) -> None:
    """Canonical bytes are the document."""
    parsed = accepted(document)
    assert isinstance(parsed, Grant)
    assert Decimal(document["amount"]) == Decimal(str(parsed.amount))
    assert parsed == parse_document(canonical(parsed))
    assert canonical(parsed) == canonical(accepted(json.loads(canonical(parsed))))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.sampled_from(sorted(MODELS)),
    st.sampled_from(["id", "meter", "versions", "alerts", "overage", "amount", "changes", "x"]),
)
def test_whatever_stands_in_a_field_a_refusal_is_the_worst(
    value: object, kind: str, field: str
) -> None:
    """Whatever stands in a field a refusal is the worst."""
    parsed = parse_document({"kind": kind, field: value})
    assert isinstance(parsed, Account) or all(isinstance(fault, Refusal) for fault in parsed)


@given(st.binary())
def test_whatever_the_bytes_a_refusal_is_the_worst(raw: bytes) -> None:
    """Whatever the bytes a refusal is the worst."""
    assert isinstance(parse_document(raw), list)
