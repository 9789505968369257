"""What each grant is, from its document, pack, rule or parent, and how it ends (credits.md 3, 6).

A grant is known by the posting that issues it. Where it comes from says all else: when it begins
and ends, whose it is, what it may pay for and what of it lives on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from schemas.times import DAY, parse_instant
from tests.simulation.audit.calendar import later
from tests.simulation.audit.holding import BEGINS, Held, Holdings
from tests.simulation.audit.prices import rounded
from tests.simulation.audit.reading import Row
from tests.simulation.audit.recurring import occurrence
from tests.simulation.audit.terms import Fields, Terms

ISSUED: Final = "credits.grant.issued"
ENDS: Final = {
    "expired": "credits.grant.expired",
    "voided": "credits.grant.voided",
    "refunded": "credits.grant.refunded",
}
ROLLED: Final = "credits.grant.rolled_over"
_FUNDED: Final = {"issued", "adjusted"}


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


class Lives:
    """All grants that were issued, by account and id.

    `funded` is what was paid by scope, as adjusted; `paid` those that were and are not yet seen to.
    """

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Life]] = {}
        self.funded: dict[tuple[str, str | None], Fraction] = {}
        self.paid: list[Life] = []
        self._ended: set[tuple[str, str]] = set()

    def post(
        self, row: Row, document: Fields, holdings: Holdings, terms: Terms
    ) -> Iterator[str | Fields]:
        """Faults of one posting of a grant, and what is to be told of it; then it counts."""
        account, name, amount = row["account"], row["grant"], Fraction(row["amount"])
        lives = self.of.setdefault(account, {})
        if row["posting"] in BEGINS:
            life = self._born(row, document, holdings, terms)
            if life is None:
                yield f"{name} is issued by nothing"
                return
            lives[name] = life
            if amount != life.amount or row["contract"] != life.contract:
                yield f"{name} is issued as {amount} of {row['contract']}, expected {life}"
            yield _alert(ISSUED, row, life)
        elif name not in lives:
            return
        else:
            yield from self._ending(row, lives[name], holdings.of[account][name], terms)
        life = lives[name]
        if row["posting"] in _FUNDED and not life.pending:
            self._fund(account, life, amount)
            self.paid += [life] if row["posting"] == "issued" else []
        holdings.post(row)

    def _fund(self, account: str, life: Life, amount: Fraction) -> None:
        scope = (account, life.contract)
        self.funded[scope] = self.funded.get(scope, Fraction(0)) + amount

    def _born(self, row: Row, document: Fields, holdings: Holdings, terms: Terms) -> Life | None:
        account, name = row["account"], row["grant"]
        if row["posting"] == "received":
            return self._rolled(row, holdings, terms)
        kind = document.get("kind")
        found: Fields | None = None
        if kind == "Grant" and document["id"] == name:
            found = document
        elif kind == "Contract":
            own = {"effective_at": document["starts_at"], "contract": document["id"]}
            found = next(
                (own | one for one in document.get("grants", ()) if one["id"] == name), None
            )
        elif kind == "purchase" and document["id"] == name:
            found = _bought(document, terms, row["at"])
        if found is None and "@" in name:
            found = occurrence(terms, account, name, row["at"])
        if found is None:
            return None
        contract, expires = found.get("contract"), found.get("expires_at")
        begins = _instant(found["effective_at"])
        ends = None if expires is None else _instant(expires)
        if contract is not None:
            start = terms.contracts[account, contract].revisions[0][1]["starts_at"]
            begins = max(begins, parse_instant(start))
        return Life(
            found,
            Fraction(found["amount"]),
            contract,
            begins,
            ends,
            _earlier(ends, terms.end(account, contract, row["at"])),
            row["at"],
            found.get("funding") == "pending",
            name,
            begins,
        )

    def _rolled(self, row: Row, holdings: Holdings, terms: Terms) -> Life | None:
        """The child of a grant that has just ended."""
        account, (root, _, number) = row["account"], row["grant"].partition("~")
        times = int(number or 0)
        name = root if times == 1 else f"{root}~{times - 1}"
        parent = self.of[account].get(name)
        if parent is None or parent.stops is None:
            return None
        rule = parent.terms["rollover"]
        contract = _heir(parent, account, terms)
        zone = terms.accounts[account].get("time_zone", "UTC")
        ends = parent.stops + (parent.stops - parent.begins)
        if rule.get("expiry"):
            ends = later(parent.stops, rule["expiry"], zone)
        ends = max(ends, parent.stops + DAY)
        return Life(
            parent.terms,
            Fraction(row["amount"]),
            contract,
            parent.stops,
            ends,
            _earlier(ends, terms.end(account, contract, parent.stops)),
            row["at"],
            pending=False,
            root=root,
            root_begins=parent.root_begins,
            times=times,
            rolled_basis=parent.basis(holdings.of[account][name]),
        )

    def _ending(self, row: Row, life: Life, held: Held, terms: Terms) -> Iterator[str | Fields]:
        """What rolls over, expires, is voided or refunded, when, and that it is told."""
        posting, name = row["posting"], row["grant"]
        if posting == "rolled_over":
            if (rolling := _rolling(row["account"], life, held, terms)) != Fraction(row["amount"]):
                yield f"{name} rolls {row['amount']} over, expected {rolling}"
            held.rolled = True
            yield _alert(ROLLED, row, life)
        if posting not in ENDS or held.ended is not None:
            return
        yield _alert(ENDS[posting], row, life)
        at_its_end = life.stops is not None and row["at"] == max(life.stops, life.known)
        if posting == "expired" and not life.closed:
            if not at_its_end:
                yield f"{name} expires at {row['at']}, its end is {life.stops}, known {life.known}"
            if not held.rolled and (rolling := _rolling(row["account"], life, held, terms)):
                yield f"{name} expires, and {rolling} should roll over"

    def fund(self, account: str, grant: str, held: Held | None) -> None:
        """`fund_grant`: one that waits, and has not ended, was paid."""
        life = self.of.get(account, {}).get(grant)
        if life is not None and held is not None and life.pending and held.ended is None:
            life.pending = False
            self._fund(account, life, held.issued)
            self.paid.append(life)

    def terminated(self, account: str, clock: int, terms: Terms) -> None:
        """Contracts that were terminated by `clock`: their credits stop, or are the account's."""
        for (owner, name), contract in terms.contracts.items():
            over = contract.stopped is not None and contract.stopped <= clock
            if owner != account or not over or (owner, name) in self._ended:
                continue
            self._ended.add((owner, name))
            for life in self.of.get(account, {}).values():
                if life.contract == name and contract.policy != "to_account":
                    life.closed = True
                elif life.contract == name:
                    life.contract, life.stops = None, life.ends

    def overdue(self, account: str, clock: int, holdings: Holdings) -> Iterator[str]:
        """Grants whose end has come, and which have not ended."""
        for name, life in self.of.get(account, {}).items():
            due = life.stops is not None and life.stops <= clock and not life.closed
            if due and holdings.of[account][name].ended is None:
                yield f"{name} should have ended at {life.stops}"

    def active(self, account: str, clock: int, holdings: Holdings) -> Iterator[tuple[Life, Held]]:
        """Grants that count as active at journal time."""
        for name, life in self.of.get(account, {}).items():
            if name in holdings.of[account]:
                held = holdings.of[account][name]
                if (
                    held.ended is None
                    and not (life.pending or life.closed)
                    and life.begins <= clock
                ):
                    yield life, held


def _instant(value: str | int) -> int:
    """An instant of a document, or one that was worked out."""
    return value if isinstance(value, int) else parse_instant(value)


def _bought(document: Fields, terms: Terms, at: int) -> Fields | None:
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
    begins = _instant(found["effective_at"])
    found["expires_at"] = later(begins, pack["expiry"], zone) if pack.get("expiry") else None
    return found


def _rolling(account: str, life: Life, held: Held, terms: Terms) -> Fraction:
    """The percentage, then the cap, then the threshold; with a contract that lives, or its heir."""
    rule = life.terms.get("rollover")
    if not rule or rule["mode"] == "none" or life.times >= rule.get("max_times", 1 << 30):
        return Fraction(0)
    stays = life.contract is not None and rule.get("into") != "account"
    if stays and _heir(life, account, terms) is None:
        return Fraction(0)
    amount = held.free
    if "percent" in rule:
        base = held.issued if rule.get("of") == "issued" else held.free
        amount = min(amount, rounded(base * Fraction(rule["percent"]) / 100))
    amount = min(amount, Fraction(rule.get("cap", amount)))
    return amount if amount >= Fraction(rule.get("threshold", 0)) else Fraction(0)


def _heir(life: Life, account: str, terms: Terms) -> str | None:
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


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((end for end in (one, other) if end is not None), default=None)


def _alert(kind: str, row: Row, life: Life) -> Fields:
    about = {"grant": row["grant"], "amount": row["amount"], "contract": life.contract}
    return {"type": kind} | about
