"""One grant: its terms, what it may pay for, and what of it lives on (credits.md 3, 6)."""

from dataclasses import dataclass
from fractions import Fraction

from schemas.times import parse_instant
from tests.simulation.audit.calendar import later
from tests.simulation.audit.holding import Held
from tests.simulation.audit.prices import rounded
from tests.simulation.audit.terms import Fields, Terms


@dataclass
class Life:
    """A grant's terms: `begins` to `ends`, or to `stops` where its contract ends before.

    `known` is the journal time at which it was issued; `closed`: its contract was terminated.
    """

    terms: Fields
    amount: Fraction
    contract: str | None
    begins: int
    ends: int | None
    stops: int | None
    known: int
    pending: bool
    root: str
    root_begins: int
    times: int = 0
    closed: bool = False
    rolled_basis: Fraction | None = None

    def basis(self, held: Held) -> Fraction:
        """What one credit cost; of what was rolled over as of its parent."""
        if self.rolled_basis is not None:
            return self.rolled_basis
        paid = Fraction((self.terms.get("cost") or {}).get("amount", 0))
        return paid / held.issued if held.issued else Fraction(0)

    def pays(self, terms: Terms, product: str, contract: str | None) -> bool:
        """Whether its products, tags and contract admit a line."""
        products, tags = self.terms.get("products") or (), self.terms.get("tags") or ()
        of = terms.products.get(product, {}).get("tags", ())
        admits = not (products or tags) or product in products or bool(set(of) & set(tags))
        return admits and self.contract in {None, contract}


def instant(value: str | int) -> int:
    """An instant of a document, or one that was worked out."""
    return value if isinstance(value, int) else parse_instant(value)


def bought(document: Fields, terms: Terms, at: int) -> Fields | None:
    """The grant of a purchase, at the price of the last break that its quantity reaches."""
    pack = terms.packs[document["pack"]]
    quantity = Fraction(document["quantity"])
    price = pack["price"]
    for one in pack.get("breaks", ()):
        price = one["price"] if quantity >= Fraction(one["from_quantity"]) else price
    zone = terms.accounts[document["account"]].get("time_zone", "UTC")
    found: Fields = pack | {"contract": document.get("contract")}
    found["type"] = pack.get("type", "prepaid")
    found["amount"] = Fraction(pack["amount"]) * quantity
    found["cost"] = price | {"amount": Fraction(price["amount"]) * quantity}
    found["effective_at"] = document.get("effective_at") or at
    begins = instant(found["effective_at"])
    found["expires_at"] = later(begins, pack["expiry"], zone) if pack.get("expiry") else None
    return found


def rolling(account: str, life: Life, held: Held, terms: Terms) -> Fraction:
    """The percentage, then the cap, then the threshold; with a contract that lives, or its heir."""
    rule = life.terms.get("rollover")
    if not rule or rule["mode"] == "none" or life.times >= rule.get("max_times", 1 << 30):
        return Fraction(0)
    stays = life.contract is not None and rule.get("into") != "account"
    if stays and heir(life, account, terms) is None:
        return Fraction(0)
    amount = held.free
    if "percent" in rule:
        base = held.issued if rule.get("of") == "issued" else held.free
        amount = min(amount, rounded(base * Fraction(rule["percent"]) / 100))
    amount = min(amount, Fraction(rule.get("cap", amount)))
    return amount if amount >= Fraction(rule.get("threshold", 0)) else Fraction(0)


def heir(life: Life, account: str, terms: Terms) -> str | None:
    """Whose the rolled part is: the contract's, or that of the one that follows it."""
    if life.terms["rollover"].get("into") == "account":
        return None
    name = life.contract
    seen: set[str | None] = set()
    while name is not None and name not in seen:
        seen.add(name)
        end = terms.end(account, name, life.stops or 0)
        if end is None or (life.stops or 0) < end:
            return name
        followers = [
            other
            for (owner, other), held in terms.contracts.items()
            if owner == account and held.revisions[-1][1].get("renews") == name
        ]
        name = followers[0] if followers else None
    return None


def earlier(one: int | None, other: int | None) -> int | None:
    """The earlier of two ends; without an end is never."""
    return min((end for end in (one, other) if end is not None), default=None)
