"""Who pays by which terms: catalog, accounts and contracts as of one place in the journal."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.times import DAY, SECOND, parse_instant
from tests.simulation.audit.periods import period_start

Fields = dict[str, Any]
_UNITS: Final = {"S": SECOND, "M": 60 * SECOND, "H": 3_600 * SECOND}


@dataclass
class Contract:
    """Its revisions, each from an instant on, and when and how it was terminated."""

    revisions: list[tuple[int, Fields]]
    stopped: int | None = None
    policy: str | None = None

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
    packs: dict[str, Fields] = field(default_factory=dict)
    seats: dict[tuple[str, str], int] = field(default_factory=dict)
    graces: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Every late_grace that an account had."""

    def apply(self, document: Fields, clock: int) -> None:
        """A document that was accepted at journal time `clock`."""
        match document["kind"]:
            case "Product":
                self.products[document["id"]] = document
            case "RateCard":
                self.cards[document["id"]] = document
            case "Pack":
                self.packs[document["id"]] = document
            case "Account":
                self.accounts[document["id"]] = document
                self.graces[document["id"]].add(document.get("late_grace", "PT48H"))
            case "Contract":
                start, key = parse_instant(document["starts_at"]), _contract(document, "id")
                self.contracts[key] = Contract([(start, document)])
                self.seats[key] = document.get("seats", 1)
            case _ if (key := _contract(document, "contract")) in self.contracts:
                self._change(key, document, clock)

    def _change(self, key: tuple[str, str], document: Fields, clock: int) -> None:
        """A command that changes a contract which is there."""
        held = self.contracts[key]
        match document["kind"]:
            case "set_seats":
                self.seats[key] = document["seats"]
            case "amend_contract":
                changed = merged(held.revisions[-1][1], document["changes"])
                held.revisions.append((parse_instant(document["effective_at"]), changed))
            case "terminate_contract" if held.stopped is None:  # the first stands
                held.stopped = max(parse_instant(document["at"]), clock)
                held.policy = document["policy"]

    def now(self, account: str, contract: str | None, clock: int) -> Fields:
        """The terms at journal time: the contract's revision in force, or the account."""
        if contract is None:
            return self.accounts[account]
        return self.contracts[account, contract].at(clock)[1]

    def end(self, account: str, contract: str | None, at: int) -> int | None:
        """When a contract ends, as was known of the revision in force `at`; None: it does not."""
        if contract is None:
            return None
        held = self.contracts[account, contract]
        ends = held.at(at)[1].get("ends_at")
        known = [held.stopped, None if ends is None else parse_instant(ends)]
        return min((end for end in known if end is not None), default=None)

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


def _contract(document: Fields, name: str) -> tuple[str, str]:
    """Which contract a document is of."""
    return document.get("account", ""), document.get(name, "")


def span(text: str) -> int:
    """Microseconds of an exact duration, or of days, as the traffic has them: `PT5M`, `P2D`."""
    count, unit = int(text.strip("PTSMHD")), text[-1]
    return count * (_UNITS[unit] if text.startswith("PT") else DAY)


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
