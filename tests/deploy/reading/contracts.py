"""Traffic of the whole domain: contracts, every ending of a grant, overage, limits, corrections."""

import json

from deploy.reading.evidence import read_ledger
from projections.balances.recorded import as_recorded
from schemas.documents import VoidUsage, canonical
from schemas.frames import Source
from schemas.rejected import cloud_event
from schemas.times import format_instant
from tests.deploy.reading.pipeline import DAY, START, Traffic, admit, fold

DAY_SECONDS = 86_400
GRADUATED = {
    "model": "graduated",
    "tiers": [{"up_to": "10", "unit_price": "2"}, {"unit_price": "1", "flat": "3"}],
}


def text(seconds: float) -> str:
    """An instant so many seconds after START."""
    return format_instant(START + int(seconds * 1_000_000))


def contract_traffic() -> Traffic:
    """Some weeks of an account with a wallet and two contracts, told by a few records a day."""
    traffic = Traffic()
    _documents(traffic)
    for number in range(120):
        seconds = 60 + number * DAY_SECONDS / 3
        attributes = {"contract": "k2"} if number % 5 == 0 else {}
        traffic.usage(seconds, "acme", number, 1 + number % 4, **attributes)
        if number % 7 == 0:
            traffic.usage(seconds, "plain", number, 2)
        if number % 11 == 0:
            traffic.tick(seconds + 1)
        if number == 40:
            _commands(traffic, seconds + 2)
        if number == 80:
            _end(traffic, seconds + 2)
    return _with_voids(traffic)


def _documents(traffic: Traffic) -> None:
    meter = {"event_type": "llm.request", "aggregation": "sum", "value": "tokens"}
    rates = [{"product": "tokens", "price": GRADUATED}]
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": rates}
    pack = {"amount": "7", "price": {"amount": "1", "currency": "EUR"}, "type": "prepaid"}
    traffic.document(0, "Product", id="tokens", tags=["ai"], meter=meter)
    traffic.document(0, "RateCard", id="standard", versions=[version])
    traffic.document(0, "Pack", id="small", expiry="P10D", **pack)
    overage = {"mode": "allow", "multiplier": "1.5", "settle": "next_grant"}
    daily = {"id": "free", "type": "promotional", "amount": "1", "cadence": "daily"}
    limit = {"id": "m", "by": "model", "amount": "20", "period": "daily"}
    traffic.document(
        1,
        "Account",
        id="acme",
        rate_card="standard",
        overage=overage,
        limits=[limit],
        recurring=[daily | {"expiry": "end_of_period"}],
    )
    traffic.document(1, "Account", id="plain", rate_card="standard", overage={"mode": "block"})
    rolling = {"mode": "percent", "percent": "50", "max_times": 2, "expiry": "P5D"}
    for name, covers, end in (("k1", None, 30), ("k2", {"tags": ["ai"]}, 25)):
        terms: dict[str, object] = {"covers": covers} if covers else {}
        grant = {"id": f"{name}-g", "type": "prepaid", "amount": "30", "rollover": rolling}
        traffic.document(
            2,
            "Contract",
            id=name,
            account="acme",
            starts_at=text(0),
            ends_at=text(end * DAY_SECONDS),
            overrides=[{"product": "tokens", "multiplier": "0.5"}],
            grants=[grant | {"expires_at": text(6 * DAY_SECONDS)}],
            fees=[{"id": f"{name}-fee", "product": "tokens", "amount": "2", "cadence": "weekly"}],
            overage={"multiplier": "2"},
            **terms,
        )


def _commands(traffic: Traffic, seconds: float) -> None:
    """In the middle: money comes and goes."""
    traffic.document(seconds, "purchase", id="p1", account="acme", pack="small", quantity="2")
    traffic.document(
        seconds,
        "Grant",
        id="w",
        account="acme",
        type="promotional",
        amount="9",
        effective_at=text(seconds),
    )
    traffic.document(seconds, "adjust_grant", id="x1", account="acme", grant="w", amount="4")
    traffic.document(seconds, "refund_grant", id="x2", account="acme", grant="p1")
    traffic.document(seconds, "set_seats", id="x3", account="acme", contract="k1", seats=2)
    traffic.document(
        seconds,
        "amend_contract",
        id="x4",
        account="acme",
        contract="k1",
        effective_at=text(seconds),
        changes={"overage": {"multiplier": "3"}},
        reason="agreed",
        by="someone",
    )
    event = cloud_event("acme", "old", "b1", "llm.request", START + DAY, b'{"tokens":3}', None)
    traffic.document(seconds, "backfill", id="x5", account="acme", event=event.decode())


def _end(traffic: Traffic, seconds: float) -> None:
    traffic.document(seconds, "settle_overage", id="y1", account="acme", contract="k2", amount="1")
    traffic.document(
        seconds,
        "terminate_contract",
        id="y2",
        account="acme",
        contract="k1",
        at=text(seconds),
        policy="to_account",
    )
    traffic.document(
        seconds,
        "Grant",
        id="unused",
        account="acme",
        type="promotional",
        amount="5",
        effective_at=text(seconds),
        products=["other"],
    )
    traffic.document(seconds, "void_grant", id="y3", account="acme", grant="unused")


def _with_voids(traffic: Traffic) -> Traffic:
    """Two usages taken back, by the lines that the ledger of all that has them."""
    logs = fold(admit(traffic))
    ledger = read_ledger(logs.ledger, 0).rows
    for number in (3, 30):
        command = VoidUsage(id=f"v{number}", account="acme", source="test", event=f"e{number}")
        value = canonical(as_recorded(command, ledger))
        traffic.send(Source.CREDITS, 41 * DAY_SECONDS, value)
    return traffic


def kinds(traffic: Traffic) -> set[str]:
    """The kinds of documents that were sent."""
    sent = traffic.sent[Source.CREDITS]
    return {json.loads(record.value or b"")["kind"] for record in sent}
