"""The documents of the job (`tests.bench.job`) in Drawdown's own terms. Pure."""

from collections.abc import Iterator
from typing import Any

from schemas.numbers import CREDIT_DECIMALS, format_units
from schemas.times import DAY, format_instant
from tests.bench.job import LOW_PERCENT, PRICES, account_name, grants_of
from tests.bench.load import PRODUCTS, products


def job_catalog() -> list[dict[str, Any]]:
    """Input and output tokens as products, priced for each thousand by model and region."""
    rates = [
        {
            "product": product,
            "match": {"model": model, "region": region},
            "price": {"model": "unit", "unit_price": _credits(nano * 1_000), "per": "1000"},
        }
        for (model, region), prices in PRICES.items()
        for product, nano in zip(PRODUCTS, prices, strict=True)
    ]
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": rates}
    return [*products(), {"kind": "RateCard", "id": "standard", "versions": [version]}]


def job_accounts(count: int, now: int) -> Iterator[dict[str, Any]]:
    """Each account, which is told when a fifth is left, and its two grants."""
    low = {"id": "low", "measure": "remaining_percent", "thresholds": [str(LOW_PERCENT)]}
    since = format_instant(now - DAY)
    for number in range(count):
        name, grants = account_name(number), grants_of(number)
        yield {"kind": "Account", "id": name, "rate_card": "standard", "alerts": [low]}
        for priority, (kind, nano) in enumerate(
            (("promotional", grants.promo), ("prepaid", grants.main))
        ):
            yield {
                "kind": "Grant",
                "id": kind,
                "account": name,
                "type": kind,
                "amount": _credits(nano),
                "effective_at": since,
                "priority": priority,
            }


def _credits(nano: int) -> str:
    return format_units(nano, CREDIT_DECIMALS)
