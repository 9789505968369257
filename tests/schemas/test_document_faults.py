"""One document for each rule that it breaks, and the path of the fault."""

from typing import Any

import pytest

from schemas.documents import parse_document
from tests.schemas.documents import (
    JANUARY,
    JULY,
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

USD = {"amount": "1", "currency": "USD"}
EUR = {"amount": "1", "currency": "EUR"}
PRICE = "versions[0].rates[0].price"


def tiers(*tiers: dict[str, Any], model: str = "graduated") -> dict[str, Any]:
    """A RateCard document with one rate of these tiers, each at the price of 1."""
    return priced(model=model, tiers=[{"unit_price": "1"} | tier for tier in tiers])


def meter(**changes: Any) -> dict[str, Any]:
    """A Product document with this meter."""
    return product(meter={"event_type": "x", "aggregation": "count"} | changes)


def own(**changes: Any) -> dict[str, Any]:
    """A grant of a contract's own."""
    return {"id": "g1", "type": "prepaid", "amount": "10"} | changes


def voiding(*lines: dict[str, Any]) -> dict[str, Any]:
    """A void_usage with these recorded lines."""
    return command("void_usage", source="api", event="e1", lines=list(lines))


CATALOG = [
    ({"kind": "Product", "id": "p"}, "meter"),
    (product(colour="red"), "colour"),
    (product(id="-p"), "id"),
    (product(id="p" * 129), "id"),
    (product(id="p\n"), "id"),
    (product(id=7), "id"),
    (product(name=""), "name"),
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
    (product(meter={"event_type": "x", "aggregation": "sum"}), "meter.value"),
    (meter(value="v"), "meter.value"),
    (
        product(meter={"event_type": "x", "aggregation": "count", "dimensions": ["a", "b", "a"]}),
        "meter.dimensions[2]",
    ),
    (card(version(1), version(1, JULY)), "versions[1].version"),
    (card(version(1), version(2)), "versions[1].effective_from"),
    (product(tags=None), "tags"),
    (product(tags=["ai", ""]), "tags[1]"),
    (product(tags=["ai", "ai"]), "tags[1]"),
    (product(tags=["a" * 129]), "tags[0]"),
    (meter(aggregation="median"), "meter.aggregation"),
    (meter(aggregation="max"), "meter.value"),
    (meter(aggregation="unique"), "meter.value"),
    (meter(filter={"region": 1}), "meter.filter.region"),
    (meter(filter={"a b": "c"}), "meter.filter.a b"),
    (meter(filter=None), "meter.filter"),
    (meter(filter={f"p{n}": "v" for n in range(17)}), "meter.filter"),
    (priced(model="graduated"), f"{PRICE}.tiers"),
    (tiers(), f"{PRICE}.tiers"),
    (tiers(*[{"up_to": n + 1} for n in range(100)], {}), f"{PRICE}.tiers"),
    (tiers({"up_to": "0"}, {}), f"{PRICE}.tiers[0].up_to"),
    (tiers({"up_to": "5"}, {"up_to": "5"}, {}), f"{PRICE}.tiers[1].up_to"),
    (tiers({}, {}), f"{PRICE}.tiers[0].up_to"),
    (tiers({"up_to": "5"}), f"{PRICE}.tiers[0].up_to"),
    (tiers({"up_to": "5"}, model="volume"), f"{PRICE}.tiers[0].up_to"),
    (tiers({"unit_price": None}), f"{PRICE}.tiers[0].unit_price"),
    (tiers({"unit_price": "-1"}), f"{PRICE}.tiers[0].unit_price"),
    (tiers({"flat": "-1"}, model="volume"), f"{PRICE}.tiers[0].flat"),
    (tiers({"price": "1"}), f"{PRICE}.tiers[0].price"),
    (priced(model="volume", tiers=[{}]), f"{PRICE}.tiers[0].unit_price"),
    (pack(price=None), "price"),
    (pack(price={"amount": "1"}), "price.currency"),
    (pack(price={"amount": "-1", "currency": "USD"}), "price.amount"),
    (pack(type="promotional"), "price"),
    (pack(amount="0"), "amount"),
    (pack(expiry="P0D"), "expiry"),
    (pack(expiry="end_of_period"), "expiry"),
    (pack(priority=101), "priority"),
    (pack(products=["a", "a"]), "products[1]"),
    (pack(tags=["a", "a"]), "tags[1]"),
    (pack(rollover={}), "rollover.mode"),
    (pack(breaks=[{"from_quantity": "1.5", "price": USD}]), "breaks[0].from_quantity"),
    (pack(breaks=[{"from_quantity": "0", "price": USD}]), "breaks[0].from_quantity"),
    (pack(breaks=[{"from_quantity": "2", "price": EUR}]), "breaks[0].price.currency"),
    (
        pack(breaks=[{"from_quantity": "2", "price": USD}, {"from_quantity": 2, "price": USD}]),
        "breaks[1].from_quantity",
    ),
]
TERMS = [
    (account(time_zone="Mars/Olympus"), "time_zone"),
    (account(late_grace="48h"), "late_grace"),
    (account(late_grace="P1M"), "late_grace"),
    (account(overage={"mode": "maybe"}), "overage.mode"),
    (account(overage=None), "overage"),
    (account(overage={"multiplier": "one"}), "overage.multiplier"),
    (account(alerts=[rule(measure="mood")]), "alerts[0].measure"),
    (account(alerts=[rule(thresholds=[])]), "alerts[0].thresholds"),
    (account(alerts=[rule(thresholds=["-1"])]), "alerts[0].thresholds[0]"),
    (account(alerts=[rule(), rule()]), "alerts[1].id"),
    (account(alerts=[rule(thresholds=["20", "20.0"])]), "alerts[0].thresholds[1]"),
    (account(alerts=[rule(thresholds=["100.1"])]), "alerts[0].thresholds[0]"),
    (account(burn_policy=[]), "burn_policy"),
    (account(burn_policy=["priority", "luck"]), "burn_policy[1]"),
    (account(burn_policy=["priority", "expires_at", "priority"]), "burn_policy[2]"),
    (account(burn_policy=["cost_basis", "priority", "-cost_basis"]), "burn_policy[2]"),
    (account(burn_policy=["wallet_first", "contract_first"]), "burn_policy[1]"),
    (account(burn_policy=["prepaid_first", "promotional_first"]), "burn_policy[1]"),
    (account(overage={"mode": "cap"}), "overage.cap"),
    (account(overage={"mode": "cap", "cap": "-1"}), "overage.cap"),
    (account(overage={"mode": "cap", "cap": []}), "overage.cap"),
    (account(overage={"mode": "cap", "cap": {}}), "overage.cap.percent"),
    (account(overage={"mode": "cap", "cap": {"percent": "-1"}}), "overage.cap.percent"),
    (account(overage={"mode": "cap", "cap": {"percent": 1, "x": 1}}), "overage.cap.x"),
    (account(overage={"cap": "5"}), "overage.cap"),
    (account(overage={"mode": "block", "cap": "5"}), "overage.cap"),
    (account(overage={"mode": "grace"}), "overage.grace"),
    (account(overage={"mode": "grace", "grace": "P1M"}), "overage.grace"),
    (account(overage={"grace": "P1D"}), "overage.grace"),
    (account(overage={"multiplier": "-1"}), "overage.multiplier"),
    (account(overage={"settle": "never"}), "overage.settle"),
    (account(top_up={"threshold": "1"}), "top_up.target"),
    (account(top_up={"threshold": "1", "target": "1"}), "top_up.target"),
    (account(top_up={"threshold": "-1", "target": "1"}), "top_up.threshold"),
    (account(top_up={"threshold": 1, "target": 2, "cooldown": "P1M"}), "top_up.cooldown"),
    (account(top_up={"threshold": 1, "target": 2, "timeout": "24h"}), "top_up.timeout"),
    (account(top_up={"threshold": 1, "target": 2, "timeout": "PT0S"}), "top_up.timeout"),
    (account(top_up={"threshold": 1, "target": 2, "max_failures": 0}), "top_up.max_failures"),
    (account(top_up={"threshold": 1, "target": 2, "max_per_period": 0}), "top_up.max_per_period"),
    (account(limits=None), "limits"),
    (account(limits=[limit(), limit()]), "limits[1].id"),
    (account(limits=[limit(by="a..b")]), "limits[0].by"),
    (account(limits=[limit(amount="0")]), "limits[0].amount"),
    (account(limits=[limit(period="annual")]), "limits[0].period"),
    (account(limits=[limit(products=[])]), "limits[0].products"),
    (account(limits=[limit(products=["a", "a"])]), "limits[0].products[1]"),
    (account(alerts=[rule(products=["a", "a"])]), "alerts[0].products[1]"),
    (account(alerts=[rule(at_most_daily="yes")]), "alerts[0].at_most_daily"),
    (account(alerts=[rule(at_most_daily=1)]), "alerts[0].at_most_daily"),
    (account(alerts=[rule(measure="grant_expiring", thresholds=["0"])]), "alerts[0].thresholds[0]"),
    (
        account(alerts=[rule(measure="grant_expiring", thresholds=[9, "1.5"])]),
        "alerts[0].thresholds[1]",
    ),
    (account(alerts=[rule(measure="days_left", thresholds=["-1"])]), "alerts[0].thresholds[0]"),
    (account(recurring=[recurring(), recurring()]), "recurring[1].id"),
    (account(recurring=[recurring(type="gift")]), "recurring[0].type"),
    (account(recurring=[recurring(amount="0")]), "recurring[0].amount"),
    (account(recurring=[recurring(cadence="hourly")]), "recurring[0].cadence"),
    (account(recurring=[recurring(expiry="P0D")]), "recurring[0].expiry"),
    (account(recurring=[recurring(expiry="start_of_period")]), "recurring[0].expiry"),
    (account(recurring=[recurring(anchor="2026-02-30")]), "recurring[0].anchor"),
    (account(recurring=[recurring(anchor="20260201")]), "recurring[0].anchor"),
    (account(recurring=[recurring(anchor=JANUARY)]), "recurring[0].anchor"),
    (account(recurring=[recurring(anchor=20260101)]), "recurring[0].anchor"),
    (account(recurring=[recurring(per_seat="true")]), "recurring[0].per_seat"),
    (account(recurring=[recurring(tags=["a", "a"])]), "recurring[0].tags[1]"),
    (account(fees=[fee(), fee()]), "fees[1].id"),
    (account(fees=[fee(per_seat=True)]), "fees[0].per_seat"),
    (account(recurring=[recurring(per_seat=True)]), "recurring[0].per_seat"),
    (account(fees=[fee(amount="-1")]), "fees[0].amount"),
    (account(fees=[fee(cadence="once")]), "fees[0].cadence"),
    (account(fees=[fee(product="no product")]), "fees[0].product"),
]
GRANTS = [
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
    (grant(expires_at=JANUARY), "expires_at"),
    (grant(type="promotional", cost={"amount": "1", "currency": "USD"}), "cost"),
    (grant(products=["tokens", "tokens"]), "products[1]"),
    (grant(tags=[]), "tags"),
    (grant(tags=["ai", "ai"]), "tags[1]"),
    (grant(contract="c~1"), "contract"),
    (grant(id="g~1"), "id"),
    (grant(id="r@2026-01-01"), "id"),
    (grant(funding="free"), "funding"),
    (grant(request=""), "request"),
    (grant(rollover={"mode": "half"}), "rollover.mode"),
    (grant(rollover={"mode": "percent"}), "rollover.percent"),
    (grant(rollover={"mode": "percent", "percent": "100.1"}), "rollover.percent"),
    (grant(rollover={"mode": "percent", "percent": "-1"}), "rollover.percent"),
    (grant(rollover={"mode": "full", "percent": "50"}), "rollover.percent"),
    (grant(rollover={"mode": "full", "of": "consumed"}), "rollover.of"),
    (grant(rollover={"mode": "full", "cap": "-1"}), "rollover.cap"),
    (grant(rollover={"mode": "full", "threshold": "-1"}), "rollover.threshold"),
    (grant(rollover={"mode": "full", "max_times": -1}), "rollover.max_times"),
    (grant(rollover={"mode": "full", "max_times": "1"}), "rollover.max_times"),
    (grant(rollover={"mode": "full", "expiry": "P"}), "rollover.expiry"),
    (grant(rollover={"mode": "full", "into": "wallet"}), "rollover.into"),
]
CONTRACTS = [
    (contract(account=None), "account"),
    (contract(starts_at=None), "starts_at"),
    (contract(ends_at=JANUARY), "ends_at"),
    (contract(name="x"), "name"),
    (contract(late_grace="PT48H"), "late_grace"),
    (contract(rate_card=7), "rate_card"),
    (contract(rate_card="no card"), "rate_card"),
    (contract(rate_card=["standard"]), "rate_card"),
    (contract(rate_card={"id": "standard"}), "rate_card.version"),
    (contract(rate_card={"id": "-", "version": 1}), "rate_card.id"),
    (contract(rate_card={"id": "standard", "version": "1"}), "rate_card.version"),
    (contract(rate_card={"id": "standard", "version": 1, "at": 0}), "rate_card.at"),
    (contract(covers={}), "covers.products"),
    (contract(covers={"products": [], "tags": []}), "covers.products"),
    (contract(covers={"products": ["a", "a"]}), "covers.products[1]"),
    (contract(covers={"tags": ["a", "a"]}), "covers.tags[1]"),
    (contract(overrides=[override(), override(product=None)]), "overrides[1].product"),
    (contract(overrides=[override(tag="ai")]), "overrides[0].tag"),
    (contract(overrides=[override(multiplier=None)]), "overrides[0].multiplier"),
    (contract(overrides=[override(multiplier="-0.1")]), "overrides[0].multiplier"),
    (contract(overrides=[override(price={"model": "flat", "price": 1})]), "overrides[0].price"),
    (contract(overrides=[override(price={"model": "free"})]), "overrides[0].price.model"),
    (contract(overrides=[override(price={"model": "flat"})]), "overrides[0].price.price"),
    (contract(overrides=[override(match={"flat": 1})]), "overrides[0].match.flat"),
    (
        contract(
            overrides=[
                override(),
                {
                    "tag": "ai",
                    "price": {
                        "model": "volume",
                        "tiers": [{"up_to": 5, "unit_price": 1}, {"up_to": "x", "unit_price": 1}],
                    },
                },
            ]
        ),
        "overrides[1].price.tiers[1].up_to",
    ),
    (
        contract(overrides=[override(effective_from=JULY, effective_to=JANUARY)]),
        "overrides[0].effective_to",
    ),
    (contract(alerts=None), "alerts"),
    (contract(alerts=[rule(), rule()]), "alerts[1].id"),
    (contract(billing={}), "billing.cycle"),
    (contract(billing={"cycle": "weekly"}), "billing.cycle"),
    (contract(billing={"cycle": "monthly", "anchor": "31"}), "billing.anchor"),
    (contract(billing={"cycle": "monthly", "anchor": "1969-01-31"}), "billing.anchor"),
    (contract(billing={"cycle": "monthly", "net_terms": -1}), "billing.net_terms"),
    (contract(billing={"cycle": "monthly", "net_terms": "30"}), "billing.net_terms"),
    (contract(billing={"cycle": "monthly", "auto_pay": 1}), "billing.auto_pay"),
    (contract(seats=-1), "seats"),
    (contract(seats="5"), "seats"),
    (contract(renews="c1"), "renews"),
    (contract(marketplace={"offer": "o"}), "marketplace.provider"),
    (contract(payment_schedule=[{"due": JULY, **USD, "paid": True}]), "payment_schedule[0].paid"),
    (contract(payment_schedule=[{"due": "soon", **USD}]), "payment_schedule[0].due"),
    (contract(payment_schedule=[{"due": JULY, "amount": 1}]), "payment_schedule[0].currency"),
    (contract(limits=[limit(), limit()]), "limits[1].id"),
    (contract(fees=[fee(), fee()]), "fees[1].id"),
    (contract(recurring=[recurring(), recurring()]), "recurring[1].id"),
    (contract(grants=[own(), own()]), "grants[1].id"),
    (contract(grants=[own(id="r")], recurring=[recurring()]), "recurring[0].id"),
    (contract(grants=[own(account="acme")]), "grants[0].account"),
    (contract(grants=[own(contract="c1")]), "grants[0].contract"),
    (contract(grants=[own(amount="0")]), "grants[0].amount"),
    (contract(grants=[own(effective_at="2027-01-01T00:00:00Z")]), "grants[0].effective_at"),
    (contract(grants=[own(expires_at=JANUARY)]), "grants[0].expires_at"),
    (contract(grants=[own(effective_at=JULY, expires_at=JULY)]), "grants[0].expires_at"),
]
COMMANDS = [
    ({"kind": "void_grant", "id": "1", "grant": "g1"}, "account"),
    (command("void_grant", id="", grant="g1"), "id"),
    (command("void_grant"), "grant"),
    (command("void_grant", grant="g 1"), "grant"),
    (command("void_grant", grant="g1", reason="r"), "reason"),
    (command("refund_grant"), "grant"),
    (command("fund_grant"), "grant"),
    (command("adjust_grant", grant="g1", amount="0"), "amount"),
    (command("adjust_grant", grant="g1", amount="lots"), "amount"),
    (command("purchase", pack="p", quantity="0"), "quantity"),
    (command("purchase", pack="p", quantity="-1"), "quantity"),
    (command("purchase", pack="p", quantity="1.5"), "quantity"),
    (command("purchase", quantity="1"), "pack"),
    (command("purchase", pack="p", quantity="1", effective_at="now"), "effective_at"),
    (command("void_usage", event="e1"), "source"),
    (command("void_usage", source="api"), "event"),
    (
        command("void_usage", source="api", event="e1", lines=[line(product=None)]),
        "lines[0].product",
    ),
    (
        command(
            "void_usage",
            source="api",
            event="e1",
            lines=[line(slices=[{"grant": "g", "amount": "0.0000000001"}])],
        ),
        "lines[0].slices[0].amount",
    ),
    (command("replay", event="e1"), "source"),
    (command("replay", source="api", event="e1", product="no product"), "product"),
    (command("backfill", event={"id": "e1"}), "event"),
    (command("backfill"), "event"),
    (amendment(), "changes"),
    (amendment(colour="red"), "changes.colour"),
    (amendment(kind="Contract"), "changes.kind"),
    (amendment(overrides=[{"multiplier": 0.5}]), "changes.overrides[0].multiplier"),
    (amendment(overage={"multiplier": float("nan")}), "changes.overage.multiplier"),
    (amendment(ends_at=None) | {"effective_at": None}, "effective_at"),
    (command("terminate_contract", contract="c1", at=JULY), "policy"),
    (command("terminate_contract", contract="c1", at=JULY, policy="keep"), "policy"),
    (command("terminate_contract", contract="c1", policy="expire"), "at"),
    (command("set_seats", contract="c1", seats=-1), "seats"),
    (command("set_seats", contract="c1", seats=1.0), "seats"),
    (command("set_seats", seats=1), "contract"),
    (command("settle_overage", amount="0"), "amount"),
    (command("settle_overage", contract="", amount="1"), "contract"),
    (command("top_up_failed"), "request"),
    (command("top_up_failed", request="r", grant="g1"), "grant"),
]


@pytest.mark.parametrize(("document", "path"), [*CATALOG, *TERMS, *GRANTS, *CONTRACTS, *COMMANDS])
def test_a_fault_is_refused_with_its_path(document: dict[str, Any], path: str) -> None:
    """A fault is refused with its path."""
    assert {("invalid_document", path)} == refused(document)


def test_every_contradiction_is_told_at_once() -> None:
    """Every contradiction is told at once."""
    wrong = contract(
        ends_at=JANUARY,
        overage={"cap": "5"},
        limits=[limit(), limit()],
        grants=[own(), own(type="promotional", cost=USD)],
    )
    assert {"overage.cap", "grants[1].cost"} == {path for _, path in refused(wrong)}
    wrong = contract(ends_at=JANUARY, renews="c1", limits=[limit(), limit()])
    assert {"ends_at", "renews", "limits[1].id"} == {path for _, path in refused(wrong)}


def test_an_account_has_no_contract_terms_and_says_what_was_expected() -> None:
    """An account has no contract terms and says what was expected."""
    parsed = parse_document(account(covers={}, overage={"mode": "cap"}))
    assert isinstance(parsed, list)
    assert [(fault.path, fault.detail) for fault in parsed] == [
        ("overage.cap", "expected one: the mode is cap"),
        ("covers", "unknown field"),
    ]
