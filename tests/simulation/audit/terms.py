"""Who pays by which terms: catalog, accounts and contracts as of one place in the journal."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from schemas.times import parse_instant
from tests.simulation.audit.periods import period_start

Fields = dict[str, Any]


@dataclass
class Contract:
    """Its revisions, each from an instant on, and when it was terminated."""

    revisions: list[tuple[int, Fields]]
    stopped: int | None = None

    def at(self, time: int) -> tuple[int, Fields]:
        """The revision in force at event time, with its number (0 first)."""
        number = 0
        for index, (since, _) in enumerate(self.revisions):
            if since <= time:
                number = index
        return number, self.revisions[number][1]


@dataclass
class Terms:
    """Everything that was accepted, in the order of the journal."""

    products: dict[str, Fields] = field(default_factory=dict)
    cards: dict[str, Fields] = field(default_factory=dict)
    accounts: dict[str, Fields] = field(default_factory=dict)
    contracts: dict[tuple[str, str], Contract] = field(default_factory=dict)
    grants: dict[tuple[str, str], list[Fields]] = field(default_factory=dict)
    """Every content that was applied under an id; balances keep the first that they can take."""
    graces: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Every late_grace that an account had."""

    def apply(self, document: Fields, clock: int) -> None:
        """A document that was accepted at journal time `clock`."""
        account = document.get("account")
        match document["kind"]:
            case "Product":
                self.products[document["id"]] = document
            case "RateCard":
                self.cards[document["id"]] = document
            case "Account":
                self.accounts[document["id"]] = document
                self.graces[document["id"]].add(document.get("late_grace", "PT48H"))
            case "Contract":
                start = parse_instant(document["starts_at"])
                self.contracts[str(account), document["id"]] = Contract([(start, document)])
                for grant in document.get("grants", ()):
                    own = {"effective_at": document["starts_at"], "contract": document["id"]}
                    self._granted(str(account), own | grant)
            case "Grant":
                self._granted(str(account), document)
            case "amend_contract":
                held = self.contracts[str(account), document["contract"]]
                changed = merged(held.revisions[-1][1], document["changes"])
                held.revisions.append((parse_instant(document["effective_at"]), changed))
            case "terminate_contract":
                held = self.contracts[str(account), document["contract"]]
                if held.stopped is None:  # the first stands
                    held.stopped = max(parse_instant(document["at"]), clock)

    def _granted(self, account: str, grant: Fields) -> None:
        known = self.grants.setdefault((account, grant["id"]), [])
        if grant not in known:
            known.append(grant)

    def told(self, account: str, grant: str) -> Fields | None:
        """The terms of a grant, where one document told them and nothing may have changed them."""
        known = self.grants.get((account, grant), [])
        if len(known) != 1 or known[0].get("funding") == "pending":
            return None
        owner = self.contracts.get((account, known[0].get("contract", "")))
        ends = owner is not None and (
            owner.stopped is not None or any(terms.get("ends_at") for _, terms in owner.revisions)
        )
        return None if ends else known[0]

    def plain(self, account: str) -> bool:
        """Whether the ledger alone tells which grants of the account are active.

        Not where one waits for its funding, a contract was terminated, or ids were given twice.
        """
        grants = [known for (of, _), known in self.grants.items() if of == account]
        contracts = [held for (of, _), held in self.contracts.items() if of == account]
        return all(
            len(known) == 1 and known[0].get("funding") != "pending" for known in grants
        ) and all(held.stopped is None for held in contracts)

    def may_pay(
        self, grant: str, account: str, product: str, contract: str | None, at: int
    ) -> bool:
        """Whether credits of a grant may pay for a line at event time; unknown ones may."""
        known = self.grants.get((account, grant), [])
        if len(known) != 1:  # rolled over, recurring, bought, or in conflict
            return True
        terms = known[0]
        expires = terms.get("expires_at")
        if at < parse_instant(terms["effective_at"]) or (expires and at >= parse_instant(expires)):
            return False
        products, tags = terms.get("products") or (), terms.get("tags") or ()
        of = self.products[product].get("tags", ())
        if (products or tags) and product not in products and not set(of) & set(tags):
            return False
        owner = terms.get("contract")
        if owner in {None, contract}:
            return True
        held = self.contracts.get((account, owner))
        return held is None or held.stopped is not None  # to_account makes it anybody's

    def meters(self, event: Fields) -> Iterator[Fields]:
        """The products that meter an event, in the order of first application."""
        for product in self.products.values():
            meter = product["meter"]
            if meter["event_type"] == event["type"] and matches(meter.get("filter", {}), event):
                yield product

    def covering(self, event: Fields, product: str) -> tuple[str | None, bool]:
        """The contract that covers a line, None: none; and whether the event named it."""
        time = parse_instant(event["time"])
        found = []
        for (account, name), held in self.contracts.items():
            if account != event["subject"] or (rank := self._rank(held, product, time)) is None:
                continue
            if name == event.get("contract"):
                return name, True
            found.append((rank, -parse_instant(held.revisions[0][1]["starts_at"]), name))
        return (min(found)[2], False) if found else (None, False)

    def _rank(self, held: Contract, product: str, time: int) -> int | None:
        """How closely a contract covers a product at event time; None: it does not."""
        terms = held.at(time)[1]
        end = terms.get("ends_at")
        if time < parse_instant(terms["starts_at"]) or (end and time >= parse_instant(end)):
            return None
        if held.stopped is not None and time >= held.stopped:
            return None
        covers = terms.get("covers")
        if not covers or not (covers.get("products") or covers.get("tags")):
            return 2
        if product in (covers.get("products") or ()):
            return 0
        tags = set(self.products[product].get("tags", ()))
        return 1 if tags & set(covers.get("tags") or ()) else None

    def period(self, account: str, contract: str | None, time: int) -> int:
        """The start of the billing period of a line."""
        held = self.accounts[account]
        billing = None
        if contract is not None:
            billing = self.contracts[account, contract].at(time)[1].get("billing")
        return period_start(time, held.get("time_zone", "UTC"), billing)


def matches(match: Fields, event: Fields) -> bool:
    """Whether `data` holds what a match or a filter says, numbers and booleans by their text."""
    data = event.get("data") or {}
    return all(text_of(data.get(path)) == wanted for path, wanted in match.items())


def text_of(value: Any) -> str | None:
    """A scalar's text; None for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None


def merged(target: Any, changes: Any) -> Any:
    """RFC 7396."""
    if not isinstance(changes, dict):
        return changes
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in changes.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found
