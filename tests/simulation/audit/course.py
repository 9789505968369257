"""Each account step by step: what was denied, what is reached, ends or is asked for, and told.

The postings of a place come in order. What is due before the record has an earlier instant than the
record, and happens by the terms before it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
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
                yield from self._run(account, mine, {}, terms)
                self._advance(account, row["at"], terms)

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
            yield from self._run(account, mine, document, terms)
            if row["account"] is not None:
                self._moment(account, row["at"], terms)
            if document:
                self._calendar.follow(account, row["at"], terms)
            self._advance(account, row["at"], terms)
            yield from self.lives.overdue(account, row["at"], self.holdings)

    def _run(
        self, account: str, postings: Sequence[Row], document: Fields, terms: Terms
    ) -> Iterator[str]:
        """Postings of one account in order; the record comes before what became due by it."""
        waits = self._unbegun(account, document, terms)
        before: Any = "record" if document else None
        at = 0
        for one in runs(postings):
            instant = _instant(one, terms)
            if before is not None and instant != before and (at or _is_due(one)):
                until = instant if _is_due(one) else None
                self._moment(account, at or _at(one), terms, waits[1], until)
                if waits[1] is not None and _is_due(one):  # it begins before what it makes due
                    if instant > waits[0]:
                        self._moment(account, at or _at(one), terms, until=until)
                    waits = (0, None)
            before, at = instant, _at(one)
            self._advance(account, at, terms, within=True)
            if isinstance(one, Line):
                yield from self._draw(one, terms)
            else:
                yield from self._post(one, document, terms)
        if at:
            self._moment(account, at, terms, waits[1])

    def _unbegun(self, account: str, document: Fields, terms: Terms) -> tuple[int, str | None]:
        """When a new contract begins that is applied late: after the record, as what is due."""
        if document.get("kind") != "Contract" or (account, document["id"]) in self._begun:
            return 0, None
        self._begun.add((account, document["id"]))
        return terms.contracts[account, document["id"]].revisions[0][0], document["id"]

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
        self.lives.terminated(account, clock, terms, self.holdings)
        for at, alert in self._debts.ends(account, clock):
            self._expect(account, at, alert)
        clock -= within
        for at, alert in self._asking.advance(account, clock, terms):
            self._expect(account, at, alert)

    def _moment(
        self,
        account: str,
        at: int,
        terms: Terms,
        unbegun: str | None = None,
        until: int | None = None,
    ) -> None:
        """After everything at one instant, or a record, by which a contract has not yet begun."""
        for alert in self._debts.capped(account, terms, at):
            self._expect(account, at, alert)
        for alert in self._asking.moment(account, at, terms, unbegun, until):
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
    """When it was due: of a rule the start of its period, whenever that became known."""
    if isinstance(one, Line):
        return one.time if _is_due(one) else one.at
    if not _is_due(one):
        return _at(one)
    day = date.fromisoformat(one["grant"].partition("@")[2])
    return start_of(day, terms.accounts[one["account"]].get("time_zone", "UTC"))


def document_of(row: Row) -> Fields:
    """The document of a rated row; none where it has none."""
    found: Fields = {} if row["kind"] != RatedKind.DOCUMENT else json.loads(row["data"])
    return found
