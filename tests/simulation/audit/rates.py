"""What prices a line: overrides of its contract, or the card (credits.md section 3)."""

from typing import Any

from schemas.times import parse_instant
from tests.simulation.audit.prices import CUMULATIVE
from tests.simulation.audit.terms import Fields, Terms, matches


def rate_of(terms: Terms, event: Fields, product: str, contract: str | None) -> Fields | str:
    """`price`, `match` and `times` that price a line, or why it is unrated."""
    account = terms.accounts.get(event["subject"])
    if account is None:
        return "unknown_account"
    own: Fields = {}
    if contract is not None:
        time = parse_instant(event["time"])
        own = terms.contracts[event["subject"], contract].at(time)[1]
    override = _override(terms, own, event, product)
    if override is not None and override.get("price"):
        return {"price": override["price"], "match": override.get("match", {}), "times": "1"}
    listed = _listed(terms, own.get("rate_card") or account.get("rate_card"), event, product)
    if isinstance(listed, str):
        return listed
    times = "1" if override is None else override["multiplier"]
    return {"price": listed["price"], "match": listed.get("match", {}), "times": times}


def _override(terms: Terms, own: Fields, event: Fields, product: str) -> Fields | None:
    tags = terms.products[product].get("tags", ())
    time = parse_instant(event["time"])
    found = []
    for index, override in enumerate(own.get("overrides") or ()):
        start, end = override.get("effective_from"), override.get("effective_to")
        if override.get("product") != product and override.get("tag") not in tags:
            continue
        if (start and time < parse_instant(start)) or (end and time >= parse_instant(end)):
            continue
        if matches(override.get("match", {}), event):
            kind = 0 if override.get("price") else 1
            found.append((-len(override.get("match", {})), kind, index, override))
    return min(found, key=lambda item: item[:3])[3] if found else None


def _listed(terms: Terms, card: Any, event: Fields, product: str) -> Fields | str:
    if card is None:
        return "no_rate_card"
    name, pinned = (card["id"], card["version"]) if isinstance(card, dict) else (card, None)
    if name not in terms.cards:
        return "unknown_rate_card"
    time = parse_instant(event["time"])
    versions = [
        version
        for version in terms.cards[name]["versions"]
        if version["version"] == pinned
        or (pinned is None and parse_instant(version["effective_from"]) <= time)
    ]
    if not versions:
        return "no_version"
    rates = [
        rate
        for rate in versions[-1]["rates"]
        if rate["product"] == product and matches(rate.get("match", {}), event)
    ]
    if not rates:
        return "no_rate"
    rate: Fields = max(rates, key=lambda one: len(one.get("match", {})))  # first of equals
    return rate


def counts(terms: Terms, account: str, product: str, contract: str | None) -> bool:
    """Whether a cumulative price of the product is known, in force or not.

    One that the line may come to: of its contract's overrides, or of the card that prices it.
    """
    held = terms.contracts[account, contract].revisions if contract is not None else []
    named = [own.get("rate_card") for _, own in held]
    named.append(terms.accounts[account].get("rate_card"))
    cards = {card["id"] if isinstance(card, dict) else card for card in named if card}
    tags = terms.products[product].get("tags", ())
    rates = (
        rate["price"]
        for name in cards & set(terms.cards)
        for version in terms.cards[name]["versions"]
        for rate in version["rates"]
        if rate["product"] == product
    )
    overrides = (
        override["price"]
        for _, own in held
        for override in own.get("overrides") or ()
        if override.get("price")
        and (override.get("product") == product or override.get("tag") in tags)
    )
    return any(price["model"] in CUMULATIVE for price in (*rates, *overrides))
