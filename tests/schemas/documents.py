"""Documents for tests, as loaded JSON: each builder makes a valid one, changed by its arguments."""

from typing import Any

from schemas.documents import Document, parse_document

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


def pack(**changes: Any) -> dict[str, Any]:
    """A Pack document."""
    price = {"amount": "9", "currency": "USD"}
    return {"kind": "Pack", "id": "p", "amount": "10", "price": price} | changes


def contract(**changes: Any) -> dict[str, Any]:
    """A Contract document over 2026."""
    return {
        "kind": "Contract",
        "id": "c1",
        "account": "acme",
        "starts_at": JANUARY,
        "ends_at": "2027-01-01T00:00:00Z",
    } | changes


def override(**changes: Any) -> dict[str, Any]:
    """An override of a contract."""
    return {"product": "tokens", "multiplier": "0.9"} | changes


def recurring(**changes: Any) -> dict[str, Any]:
    """A recurring rule."""
    return {"id": "r", "type": "promotional", "amount": "5", "cadence": "daily"} | changes


def fee(**changes: Any) -> dict[str, Any]:
    """A fee."""
    return {"id": "f", "product": "seat", "amount": "100", "cadence": "monthly"} | changes


def limit(**changes: Any) -> dict[str, Any]:
    """A limit by team."""
    return {"id": "l", "by": "team", "amount": "100", "period": "daily"} | changes


def command(kind: str, **fields: Any) -> dict[str, Any]:
    """A command of that kind."""
    return {"kind": kind, "id": "1", "account": "acme"} | fields


def line(**changes: Any) -> dict[str, Any]:
    """A recorded line of a void_usage."""
    return {"product": "tokens", "quantity": "1", "cost": "2", "overage": "0"} | changes


def amendment(**changes: Any) -> dict[str, Any]:
    """An amend_contract with these changes."""
    return command("amend_contract", contract="c1", effective_at=JULY, changes=changes)


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
