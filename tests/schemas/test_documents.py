import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.documents import (
    Account,
    Cost,
    Document,
    FlatModel,
    Grant,
    PackageModel,
    Product,
    Rate,
    RateCard,
    UnitModel,
    canonical,
    parse_document,
)
from schemas.money import Money
from schemas.numbers import Credits, Quantity, UnitPrice
from schemas.reasons import Reason, Refusal
from schemas.times import format_instant

JANUARY = "2026-01-01T00:00:00Z"
JULY = "2026-07-01T00:00:00Z"


def product(**changes: Any) -> dict[str, Any]:
    """A Product document."""
    meter = {"event_type": "llm", "aggregation": "sum", "value": "tokens", "dimensions": ["model"]}
    return {"kind": "Product", "id": "tokens", "meter": meter} | changes


def rate(**changes: Any) -> dict[str, Any]:
    """A rate of a rate card."""
    return {"product": "tokens", "price": {"model": "unit", "unit_price": "0.5"}} | changes


def version(number: int = 1, effective_from: str = JANUARY, **changes: Any) -> dict[str, Any]:
    """A version of a rate card."""
    return {"version": number, "effective_from": effective_from, "rates": [rate()]} | changes


def card(*versions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A RateCard document of these versions."""
    return {"kind": "RateCard", "id": "standard", "versions": list(versions)} | changes


def priced(**price: Any) -> dict[str, Any]:
    """A RateCard document with one rate of this price."""
    return card(version(rates=[rate(price=price)]))


def account(**changes: Any) -> dict[str, Any]:
    """An Account document."""
    return {"kind": "Account", "id": "acme", "rate_card": "standard"} | changes


def rule(**changes: Any) -> dict[str, Any]:
    """An alert rule."""
    return {"id": "low", "measure": "remaining_percent", "thresholds": ["20"]} | changes


def grant(**changes: Any) -> dict[str, Any]:
    """A Grant document."""
    return {
        "kind": "Grant",
        "id": "g1",
        "account": "acme",
        "type": "prepaid",
        "amount": "10",
        "effective_at": JANUARY,
    } | changes


def accepted(document: dict[str, Any]) -> Document:
    """The document, which is taken."""
    parsed = parse_document(document)
    assert not isinstance(parsed, list), parsed
    return parsed


def refused(document: dict[str, Any] | bytes) -> set[tuple[str, str | None]]:
    """The reason and the path of each fault of a document that is refused."""
    parsed = parse_document(document)
    assert isinstance(parsed, list), parsed
    return {(fault.reason.value, fault.path) for fault in parsed}


INVALID = [
    # what is missing, unknown or of another kind
    ({"kind": "Product", "id": "p"}, "meter"),
    (product(colour="red"), "colour"),
    (product(id="-p"), "id"),
    (product(id="p" * 129), "id"),
    (product(id="p\n"), "id"),
    (product(id=7), "id"),
    (product(name=""), "name"),
    (account(time_zone="Mars/Olympus"), "time_zone"),
    (account(late_grace="48h"), "late_grace"),
    (account(late_grace="P1M"), "late_grace"),
    (account(overage={"mode": "maybe"}), "overage.mode"),
    (account(overage=None), "overage"),
    (account(overage={"multiplier": "one"}), "overage.multiplier"),
    (account(alerts=[rule(measure="mood")]), "alerts[0].measure"),
    (account(alerts=[rule(thresholds=[])]), "alerts[0].thresholds"),
    (account(alerts=[rule(thresholds=["-1"])]), "alerts[0].thresholds[0]"),
    (grant(amount=1.5), "amount"),
    (grant(amount=True), "amount"),
    (grant(amount="NaN"), "amount"),
    (grant(amount="1e400"), "amount"),
    (grant(amount="0.0000000001"), "amount"),
    (grant(amount="0"), "amount"),
    (grant(amount="-1"), "amount"),
    (grant(type="gift"), "type"),
    (grant(effective_at="2026-01-01"), "effective_at"),
    (grant(effective_at="2026-01-01T00:00:00"), "effective_at"),
    (grant(effective_at=0), "effective_at"),
    (grant(priority=101), "priority"),
    (grant(priority=-1), "priority"),
    (grant(priority="50"), "priority"),
    (grant(priority=True), "priority"),
    (grant(products=[]), "products"),
    (grant(cost={"amount": "1"}), "cost.currency"),
    (grant(cost={"amount": "1", "currency": "usd"}), "cost.currency"),
    (grant(cost={"amount": "1", "currency": "XXX"}), "cost.currency"),
    (grant(cost={"amount": "-1", "currency": "USD"}), "cost.amount"),
    (card(), "versions"),
    (card(version(0)), "versions[0].version"),
    (card(version(rates=[rate(match={"model": 4})])), "versions[0].rates[0].match.model"),
    (card(version(rates=[rate(match={"unit": 4})])), "versions[0].rates[0].match.unit"),
    (card(version(rates=[rate(match={".": "x"})])), "versions[0].rates[0].match.."),
    (priced(), "versions[0].rates[0].price.model"),
    (priced(model="free"), "versions[0].rates[0].price.model"),
    (priced(model="unit"), "versions[0].rates[0].price.unit_price"),
    (priced(model="unit", unit_price="-0.1"), "versions[0].rates[0].price.unit_price"),
    (priced(model="unit", unit_price="1", per="0"), "versions[0].rates[0].price.per"),
    (priced(model="unit", unit_price="1", size="2"), "versions[0].rates[0].price.size"),
    (priced(model="flat", price="-1"), "versions[0].rates[0].price.price"),
    (priced(model="package", size="0", price="1"), "versions[0].rates[0].price.size"),
    (priced(model="package", size="-5", price="1"), "versions[0].rates[0].price.size"),
    # fields that contradict each other
    (product(meter={"event_type": "x", "aggregation": "sum"}), "meter.value"),
    (product(meter={"event_type": "x", "aggregation": "count", "value": "v"}), "meter.value"),
    (
        product(meter={"event_type": "x", "aggregation": "count", "dimensions": ["a", "b", "a"]}),
        "meter.dimensions[2]",
    ),
    (card(version(1), version(1, JULY)), "versions[1].version"),
    (card(version(1), version(2)), "versions[1].effective_from"),
    (account(alerts=[rule(), rule()]), "alerts[1].id"),
    (account(alerts=[rule(thresholds=["20", "20.0"])]), "alerts[0].thresholds[1]"),
    (account(alerts=[rule(thresholds=["100.1"])]), "alerts[0].thresholds[0]"),
    (grant(expires_at=JANUARY), "expires_at"),
    (grant(type="promotional", cost={"amount": "1", "currency": "USD"}), "cost"),
    (grant(products=["tokens", "tokens"]), "products[1]"),
]
UNSUPPORTED = [
    (product(tags=["ai"]), "tags"),
    (product(tags=None), "tags"),
    (product(meter={"event_type": "x", "aggregation": "count", "filter": {}}), "meter.filter"),
    (product(meter={"event_type": "x", "aggregation": "max", "value": "v"}), "meter.aggregation"),
    (product(meter={"event_type": "x", "aggregation": "unique"}), "meter.aggregation"),
    (priced(model="graduated", tiers=[{}]), "versions[0].rates[0].price.model"),
    (priced(model="volume", tiers=[]), "versions[0].rates[0].price.model"),
    (account(burn_policy=["priority"]), "burn_policy"),
    (account(limits=[]), "limits"),
    (account(recurring=[]), "recurring"),
    (account(fees=[]), "fees"),
    (account(top_up={"threshold": "1"}), "top_up"),
    (account(overage={"mode": "block"}), "overage.mode"),
    (account(overage={"cap": "5"}), "overage.cap"),
    (account(overage={"grace": "P1D"}), "overage.grace"),
    (account(overage={"multiplier": "1.5"}), "overage.multiplier"),
    (account(overage={"settle": "next_grant"}), "overage.settle"),
    (account(alerts=[rule(), rule(id="b", measure="days_left")]), "alerts[1].measure"),
    (account(alerts=[rule(measure="grant_expiring")]), "alerts[0].measure"),
    (account(alerts=["?", rule(at_most_daily=True)]), "alerts[1].at_most_daily"),
    (account(alerts=[rule(products=["a"])]), "alerts[0].products"),
    (grant(contract="c1"), "contract"),
    (grant(tags=["ai"]), "tags"),
    (grant(rollover={"mode": "full"}), "rollover"),
    (grant(funding="pending"), "funding"),
    (grant(request="r1"), "request"),
    *[
        ({"kind": kind, "id": "x", "account": "acme"}, "kind")
        for kind in (
            "Contract",
            "Pack",
            "void_grant",
            "refund_grant",
            "adjust_grant",
            "fund_grant",
            "purchase",
            "void_usage",
            "amend_contract",
            "terminate_contract",
            "set_seats",
            "settle_overage",
            "top_up_failed",
            "replay",
        )
    ],
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


@pytest.mark.parametrize(("document", "path"), INVALID)
def test_a_fault_is_refused_with_its_path(document: dict[str, Any], path: str) -> None:
    """A fault is refused with its path."""
    assert {("invalid_document", path)} == refused(document)


@pytest.mark.parametrize(("document", "path"), UNSUPPORTED)
def test_what_is_not_supported_yet_is_refused_and_says_so(
    document: dict[str, Any], path: str
) -> None:
    """What is not supported yet is refused and says so."""
    parsed = parse_document(document)
    assert isinstance(parsed, list)
    assert (Reason.UNSUPPORTED, path) == (parsed[0].reason, parsed[0].path)
    assert "supported yet" in parsed[0].detail
    assert not [fault for fault in parsed[1:] if (fault.path or "").startswith(path)]


@pytest.mark.parametrize(("raw", "reason"), RAW)
def test_bytes_that_are_no_document_have_their_own_reason(raw: bytes, reason: str) -> None:
    """Bytes that are no document have their own reason."""
    parsed = parse_document(raw)
    assert isinstance(parsed, list)
    assert [reason] == [fault.reason.value for fault in parsed]


def test_every_fault_is_told_at_once() -> None:
    """Every fault is told at once."""
    wrong = grant(amount="x", priority=200, tags=[], colour="red", cost={"amount": 1})
    assert {
        ("unsupported", "tags"),
        ("invalid_document", "amount"),
        ("invalid_document", "priority"),
        ("invalid_document", "colour"),
        ("invalid_document", "cost.currency"),
    } == refused(wrong)


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


SAME = [
    (grant(amount="10"), grant(amount="10.00")),
    (grant(amount="10"), grant(amount=10)),
    (grant(amount="10"), grant(amount="1e1")),
    (grant(), grant(priority=50, cost=None)),
    (grant(effective_at=JANUARY), grant(effective_at="2026-01-01T01:00:00.000+01:00")),
    (account(), account(overage={"mode": "allow", "multiplier": 1, "settle": "invoice"})),
    (account(), account(time_zone="UTC", late_grace="PT48H")),
    (card(version()), priced(model="unit", unit_price="0.50", per="1")),
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
    st.sampled_from(["Product", "RateCard", "Account", "Grant", "Contract"]),
    st.sampled_from(["id", "meter", "versions", "alerts", "overage", "amount", "cost", "x"]),
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
