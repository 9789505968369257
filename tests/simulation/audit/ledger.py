"""The ledger by itself: each line is paid exactly, each grant is whole (I3), alerts once (I6)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from typing import Any, Final

from schemas.frames import RatedKind
from tests.simulation.audit.burning import audit_burning
from tests.simulation.audit.course import ACTS, Course, document_of
from tests.simulation.audit.holding import BEGINS, Held, Holdings
from tests.simulation.audit.limiting import Events
from tests.simulation.audit.prices import rounded
from tests.simulation.audit.reading import Logs, Row
from tests.simulation.audit.reserving import Reserving
from tests.simulation.audit.returning import Tallies
from tests.simulation.audit.telling import Told
from tests.simulation.audit.terms import Terms

ORDINAL_BITS: Final = 32
_OF_LINE: Final = {"consumed", "reopened", "overage"}
_SIDEWAYS: Final = {"reopened", "overage", "settled"}
_EXPIRING: Final = "credits.grant.expiring"
Grant = tuple[str, str]


class LedgerAudit:
    """Postings as they come; `of` takes the rated rows of one journal row after another."""

    def __init__(self, logs: Logs, events: Events) -> None:
        self._logs = logs
        self._multiplied: set[str] = set()
        self._holdings = Holdings()
        self._told = Told(logs.alerts)
        self._tallies = Tallies()
        self._holds = Reserving()
        self._course = Course(events)
        self._next = 0
        self._paid: dict[tuple[int, int, int], list[Row]] = defaultdict(list)
        for row in logs.ledger:
            place = (row["journal_offset"], row["row"], row["ordinal"] >> ORDINAL_BITS)
            self._paid[place].append(row)

    def before(self, rated: Sequence[Row], terms: Terms) -> Iterator[str]:
        """What was due before the rated rows of a journal row, whose terms are not yet applied."""
        acts = (row for row in rated if row["kind"] in ACTS)
        for row in islice(acts, 1):
            place = (row["journal_offset"], row["row"], row["ordinal"])
            postings = self._paid.get(place, [])
            yield from (f"{place}: {fault}" for fault in self._course.before(row, postings, terms))

    def of(self, rated: Iterable[Row], terms: Terms) -> Iterator[str]:
        """What each rated row did: how a line was paid, what was to be told after it."""
        for row in rated:
            place = (row["journal_offset"], row["row"], row["ordinal"])
            document, postings = document_of(row), self._paid.get(place, [])
            faults = self._course.of(row, postings, document, terms)
            yield from (f"{place}: {fault}" for fault in faults)
            if row["kind"] == RatedKind.LINE:
                yield from self._paying(place, row, terms)
            yield from (f"{place}: {fault}" for fault in self._reserving(place, row, terms))
            touched = self._post_before((*place[:2], place[2] + 1 << ORDINAL_BITS))
            if row["kind"] in {RatedKind.LINE, RatedKind.DOCUMENT} and row["account"] is not None:
                touched.add(row["account"])
            touched |= self._told.accounts(place)
            for account in sorted(touched):
                yield from self._told.check(
                    place, account, row["at"], self._holdings, self._course.lives, terms
                )

    def _post_before(self, place: tuple[int, int, int]) -> set[str]:
        """Apply the postings up to a place in the ledger; the accounts that they were of."""
        touched = set()
        while self._next < len(self._logs.ledger):
            row = self._logs.ledger[self._next]
            if (row["journal_offset"], row["row"], row["ordinal"]) >= place:
                break
            if row["grant"] is not None:
                self._holdings.post(row)
            if row["posting"] == "repaid":
                self._tallies.repaid(row)
            touched.add(row["account"])
            self._next += 1
        return touched

    def _paying(self, place: tuple[int, int, int], line: Row, terms: Terms) -> Iterator[str]:
        """The line's postings sum to its cost; what no grant pays is overage, multiplied."""
        postings = [
            row
            for row in self._paid.get(place, [])
            if row["posting"] in _OF_LINE and row["id"] == line["id"] and row["source"]
        ]
        if not postings:
            yield f"{place}: a line without a posting"
            return
        yield from (f"{place} {fault}" for fault in self._line(line, postings, terms))
        if line["cost"] > 0:
            self._post_before((*place[:2], postings[0]["ordinal"]))
            lives = self._course.lives
            faults = audit_burning(line, postings, self._holdings, lives, terms)
            yield from (f"{place} {line['account']}: {fault}" for fault in faults)
        yield from (f"{place}: {fault}" for fault in self._tallies.of(line, postings))

    def _reserving(self, place: tuple[int, int, int], row: Row, terms: Terms) -> Iterator[str]:
        """Holds end, and then one may be placed."""
        postings = self._paid.get(place, [])
        document = document_of(row)
        yield from self._holds.ends(row, postings, document)
        if document.get("kind") == "place_hold":
            held = [posting for posting in postings if posting["posting"] == "held"]
            until = held[0]["ordinal"] if held else place[2] + 1 << ORDINAL_BITS
            self._post_before((*place[:2], until))
            lives = self._course.lives
            yield from self._holds.placed(row, held, document, self._holdings, lives, terms)

    def _line(self, line: Row, postings: list[Row], terms: Terms) -> Iterator[str]:
        cost = Fraction(line["cost"])
        paid = sum(Fraction(row["amount"]) for row in postings if row["grant"] is not None)
        owed = [Fraction(row["amount"]) for row in postings if row["posting"] == "overage"]
        if any(row["cost"] != line["cost"] for row in postings):
            yield f"postings of another cost than {line['cost']}"
        times = _multiplier(line, terms)
        if times != 1:
            self._multiplied.add(line["account"])
        # What returns mirrors the multiplier of its day: where there was one, that is not told.
        exact = cost >= 0 or line["account"] not in self._multiplied
        if exact and sum(owed) != rounded((cost - paid) * times):
            yield f"cost {cost} is paid {paid} and owed {owed}, times {times}"
        if cost > 0 and any(Fraction(row["amount"]) < 0 for row in postings):
            yield f"a line of cost {cost} returns credits"

    def finish(self) -> Iterator[str]:
        """What is to be seen only of the whole ledger, and of the alerts."""
        yield from self._grants()
        yield from self._alerts()

    def _grants(self) -> Iterator[str]:
        """Each grant's postings in order; what rolls over in an account is received in it."""
        ends = {_step(row): row["ordinal"] for row in self._logs.ledger if row["grant"]}
        grants: dict[Grant, Held] = {}
        rolled: dict[str, Fraction] = defaultdict(Fraction)
        for row in self._logs.ledger:
            amount, posting = Fraction(row["amount"]), row["posting"]
            if row["grant"] is None:
                if posting not in _SIDEWAYS and amount:
                    yield f"I3: {posting} {amount} of no grant, {row['account']}"
                continue
            grant = (row["account"], row["grant"])
            if (posting in BEGINS) == (grant in grants):
                yield f"I3: {grant} {posting}, begun: {grant in grants}"
            held = grants.setdefault(grant, Held())
            held.post(posting, amount)
            rolled[row["account"]] += {"rolled_over": -amount, "received": amount}.get(posting, 0)
            # What is adjusted after its end leaves at once: only the whole step must be sound.
            if ends[_step(row)] == row["ordinal"] and not held.sound:
                place = f"{row['journal_offset']}:{row['row']}"
                yield f"I3: {grant} after {posting} {amount} at {place}: {held}"
        for account, difference in rolled.items():
            if difference:
                yield f"I3: {account} received {difference} more than rolled over"

    def _alerts(self) -> Iterator[str]:
        """One id says one thing, one thing has one id, and each grant is told once."""
        said: dict[str, bytes] = {}
        names: dict[str, set[str]] = defaultdict(set)
        for value in self._logs.alerts:
            event = json.loads(value)
            again = said.setdefault(event["id"], value) != value
            if again and event["type"] != _EXPIRING:  # a rule that comes back says it again
                yield f"I6: the alert {event['id']} says {said[event['id']]!r} and {value!r}"
            what = json.dumps({**event, "id": None}, sort_keys=True)
            names[what].add(event["id"])
        events = [json.loads(value) for value in said.values()]
        yield from _named_once(names, events)
        yield from self._course.finish(events)
        started = Counter(
            (event["subject"], event["data"].get("contract"))
            for event in map(json.loads, said.values())
            if event["type"] == "credits.overage.started"
        )
        rose = self._rises()
        if started != rose:
            yield f"I6: overage told as started {started - rose}, not told {rose - started}"

    def _rises(self) -> Counter[tuple[str, str | None]]:
        """How often the overage of each contract, or of none, rose above zero."""
        owed: dict[Any, Fraction] = defaultdict(Fraction)
        rose: Counter[Any] = Counter()
        for row in self._logs.ledger:
            scope = (row["account"], row["contract"])
            before = owed[scope]
            sign = {"overage": 1, "repaid": -1, "settled": -1}.get(row["posting"], 0)
            owed[scope] += sign * Fraction(row["amount"])
            rose[scope] += before <= 0 < owed[scope]
        return +rose


def _named_once(names: dict[str, set[str]], events: list[Any]) -> Iterator[str]:
    """What is said twice at one instant crossed back in between, and that was told."""
    back = Counter(
        _threshold(event) for event in events if event["type"] == "credits.balance.recovered"
    )
    for what, ids in names.items():
        event = json.loads(what)
        if len(ids) > 1 + back[_threshold(event)]:
            yield f"I6: {what} has the ids {sorted(ids)}"


def _threshold(event: Any) -> tuple[Any, ...]:
    data = event["data"]
    return (event["subject"], *map(data.get, ("rule", "threshold", "contract", "at", "position")))


def _step(row: Row) -> tuple[Any, ...]:
    """One grant in one transaction."""
    place = (row["journal_offset"], row["row"], row["ordinal"] >> ORDINAL_BITS)
    return (row["account"], row["grant"], *place)


def _of_line(line: Row, terms: Terms) -> dict[str, Any]:
    """The contract's revision at event time, or the account."""
    if line["contract"] is None:
        return terms.accounts[line["account"]]
    return terms.contracts[line["account"], line["contract"]].at(line["time"])[1]


def _multiplier(line: Row, terms: Terms) -> Fraction:
    return Fraction(str((_of_line(line, terms).get("overage") or {}).get("multiplier") or "1"))
