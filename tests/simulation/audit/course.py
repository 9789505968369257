"""Each account step by step: what was denied, what is reached, ends or is asked for, and told.

The postings of a place come in order. What is due before the record has an earlier instant than the
record, and happens by the terms before it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from fractions import Fraction
from itertools import groupby
from typing import Any, Final

from schemas.frames import RatedKind
from schemas.times import parse_instant
from tests.simulation.audit.asking import REQUESTED, Asking
from tests.simulation.audit.calendar import start_of
from tests.simulation.audit.holding import Holdings
from tests.simulation.audit.limiting import REACHED, Budgets, Events
from tests.simulation.audit.lines import Line, runs
from tests.simulation.audit.lives import ENDS, ISSUED, ROLLED, Lives
from tests.simulation.audit.owing import CAPPED, DUE, Debts
from tests.simulation.audit.reading import Row
from tests.simulation.audit.recurring import FEES, RECURRING, Calendar
from tests.simulation.audit.terms import Fields, Terms

ACTS: Final = {int(RatedKind.LINE), int(RatedKind.TICK), int(RatedKind.DOCUMENT)}
_TOLD: Final = {REACHED, CAPPED, DUE, ISSUED, ROLLED, REQUESTED, *ENDS.values()}
_ENDING: Final = {"rolled_over", "expired", "voided"}
Alert = tuple[Any, ...]


class Course:
    """Postings and records as they come; what is expected of them is compared at the end."""

    def __init__(self, events: Events) -> None:
        self.lives = Lives()
        self.holdings = Holdings()
        self._budgets = Budgets(events)
        self._debts = Debts(self.lives.funded)
        self._calendar = Calendar()
        self._asking = Asking(self.lives, self.holdings)
        self._expected: Counter[Alert] = Counter()
        self._occurred: Counter[Alert] = Counter()
        self._begun: set[tuple[str, str]] = set()

    def before(self, row: Row, postings: Sequence[Row], terms: Terms) -> Iterator[str]:
        """What was due before a rated row is applied, for its account, or for all of them."""
        for account in _accounts(row, terms):
            if account in terms.accounts:
                mine = [one for one in postings if one["account"] == account]
                mine = [one for one in mine if one["at"] < row["at"]]
                for at, ones in groupby(runs(mine), _at):
                    self._advance(account, at, terms, within=True)
                    for one in ones:
                        yield from self._apply(one, {}, terms)
                    self._asking.happen(account, at, at, terms)
                    self._moment(account, at, terms)
                self._advance(account, row["at"], terms, within=row["kind"] == RatedKind.TICK)

    def of(
        self, row: Row, postings: Sequence[Row], document: Fields, terms: Terms
    ) -> Iterator[str]:
        """What a rated row itself did, and what became due by it."""
        for account in _accounts(row, terms):
            mine = [one for one in postings if one["account"] == account]
            mine = [one for one in mine if one["at"] >= row["at"]]
            if document.get("kind") == "fund_grant":
                held = self.holdings.of[account].get(document["grant"])
                self.lives.fund(account, document["grant"], held)
                self._answer(account, terms)
            if document.get("kind") == "top_up_failed":
                self._asking.failed(account, document["request"], row["at"], terms)
            if document.get("kind") == "Contract":
                self._apply_contract(account, document["id"], terms)
            yield from self._run(account, row["at"], mine, document, terms)
            if document:
                self._calendar.follow(account, row["at"], terms)
            self._advance(account, row["at"], terms)
            yield from self.lives.overdue(account, row["at"], self.holdings)

    def _apply_contract(self, account: str, contract: str, terms: Terms) -> None:
        if (account, contract) not in self._begun:
            self._begun.add((account, contract))
            begins = terms.contracts[account, contract].revisions[0][0]
            self._asking.waits(account, contract, begins)

    def _run(
        self, account: str, at: int, postings: Sequence[Row], document: Fields, terms: Terms
    ) -> Iterator[str]:
        """The record, then what became due by it, in the order of the instants at which it was."""
        self.lives.terminated(account, at, terms, self.holdings)
        reached = None if document else at
        for one in runs(postings):
            due = self._due(one, reached, terms)
            if due != reached and due is not None:
                self._end(account, reached, at, terms)
                self._expect_all(account, at, self._asking.known(account, due, at, terms))
                reached = due
            yield from self._apply(one, document, terms)
        self._end(account, reached, at, terms)
        self._expect_all(account, at, self._asking.known(account, at + 1, at, terms))

    def _end(self, account: str, due: int | None, at: int, terms: Terms) -> None:
        """Everything due at one instant has happened; or the record has, by itself."""
        if due is not None:
            self._asking.happen(account, due, at, terms)
        self._moment(account, at, terms)

    def _due(self, one: Line | Row, reached: int | None, terms: Terms) -> int | None:
        """When it was due, whenever that became known; what has no time of its own, as the last.

        What a record issues that is over expires at once; what a rule issues, in its turn.
        """
        if _is_due(one):
            return _instant(one, terms)
        if reached is None or isinstance(one, Line) or one["posting"] not in _ENDING:
            return reached
        life = self.lives.of[one["account"]][one["grant"]]
        over = life.stops is not None and reached < life.stops <= one["at"]
        return life.stops if over and not life.closed else reached

    def _apply(self, one: Line | Row, document: Fields, terms: Terms) -> Iterator[str]:
        if isinstance(one, Line):
            return self._draw(one, terms)
        return self._post(one, document, terms)

    def _draw(self, line: Line, terms: Terms) -> Iterator[str]:
        """It is denied where it passes a limit or its mode says so; a capture never is."""
        denied = self._budgets.passed(line, terms) or self._debts.denied(line, terms)
        if line.cost > 0 and line.denied != {denied and not line.captured}:
            yield f"{line} is unauthorised: {line.denied}, it is denied: {denied}"
        if line.source is None and not line.captured:
            self._occur(line.postings[0], FEES, line.id, line.cost)
        self._debts.draw(line, terms)
        for alert in self._budgets.count(line, terms):
            self._expect(line.account, line.at, alert)

        for row in line.postings:
            if row["grant"] is not None:
                self.holdings.post(row)

    def _post(self, row: Row, document: Fields, terms: Terms) -> Iterator[str]:
        if row["grant"] is not None:
            for found in self.lives.post(row, document, self.holdings, terms):
                if isinstance(found, str):
                    yield found
                else:
                    self._expect(row["account"], row["at"], found)
        if row["posting"] == "issued" and "@" in row["grant"]:
            self._occur(row, RECURRING, row["grant"], Fraction(row["amount"]))
        self._answer(row["account"], terms)
        self._debts.post(row)

    def _answer(self, account: str, terms: Terms) -> None:
        """What was just paid may be what was asked for."""
        for life in self.lives.paid:
            self._asking.funded(account, life, terms)
        self.lives.paid.clear()

    def _occur(self, row: Row, kind: str, name: str, amount: Fraction) -> None:
        self._occurred[row["account"], row["contract"], kind, name, amount, row["at"]] += 1

    def _advance(self, account: str, clock: int, terms: Terms, *, within: bool = False) -> None:
        """What falls due up to `clock`; what is asked for `within` its instant, comes later."""
        self._occurred.subtract(self._calendar.due(account, clock, terms))
        for at, alert in self._debts.ends(account, clock):
            self._expect(account, at, alert)
        for stop in self.lives.stopping(account, clock, terms):
            self._ask(account, stop - 1, terms)
            self.lives.terminated(account, stop, terms, self.holdings)
        self._ask(account, clock - within, terms)

    def _ask(self, account: str, clock: int, terms: Terms) -> None:
        for at, alert in self._asking.advance(account, clock, terms):
            self._expect(account, at, alert)

    def _moment(self, account: str, at: int, terms: Terms) -> None:
        """After everything at one instant, or a record."""
        self._expect_all(account, at, self._debts.capped(account, terms, at))
        self._expect_all(account, at, self._asking.moment(account, at, terms))

    def _expect_all(self, account: str, at: int, alerts: Iterable[Fields]) -> None:
        for alert in alerts:
            self._expect(account, at, alert)

    def _expect(self, account: str, at: int, alert: Fields) -> None:
        self._expected[_said(account, at, alert)] += 1

    def finish(self, alerts: Sequence[Fields]) -> Iterator[str]:
        """What was told, of the whole run, is what was to be told."""
        told = Counter(
            _said(event["subject"], parse_instant(event["data"]["at"]), event["data"] | event)
            for event in alerts
            if event["type"] in _TOLD
        )
        for alert in (told - self._expected).elements():
            yield f"I6: {alert} is told, and was not to be"
        for alert in (self._expected - told).elements():
            yield f"I6: {alert} is not told"
        for occurrence, count in self._occurred.items():
            if count:
                yield f"{occurrence} is {'not ' if count < 0 else ''}there, expected otherwise"


def _said(account: str, at: int, alert: Fields) -> Alert:
    amounts = [alert.get(name) for name in ("threshold", "amount")]
    numbers = [None if each is None else Fraction(each) for each in amounts]
    about = ("type", "contract", "rule", "entity", "request", "grant")
    names = [alert.get(name) for name in about]
    return (account, *names, *numbers, at)


def _accounts(row: Row, terms: Terms) -> list[str]:
    """Whom a rated row is of: what is due for all comes before a tick, and the catalog's."""
    if row["kind"] not in ACTS:
        return []
    return sorted(terms.accounts) if row["account"] is None else [row["account"]]


def _at(one: Line | Row) -> int:
    at: int = one.at if isinstance(one, Line) else one["at"]
    return at


def _is_due(one: Line | Row) -> bool:
    """Whether it is an occurrence of a rule, or what its grant repays at once."""
    if isinstance(one, Line):
        return one.source is None and not one.captured
    name = one["grant"] or ""
    return "@" in name and "~" not in name and one["posting"] in {"issued", "repaid"}


def _instant(one: Line | Row, terms: Terms) -> int:
    """Of a rule's occurrence the start of its period."""
    if isinstance(one, Line):
        return one.time
    day = date.fromisoformat(one["grant"].partition("@")[2])
    return start_of(day, terms.accounts[one["account"]].get("time_zone", "UTC"))


def document_of(row: Row) -> Fields:
    """The document of a rated row; none where it has none."""
    found: Fields = {} if row["kind"] != RatedKind.DOCUMENT else json.loads(row["data"])
    return found
