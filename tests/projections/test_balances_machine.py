"""Journal to ledger, by the plain folds and by the columnar ones side by side, whatever comes.

A state machine: its rules let documents, usage, commands and ticks happen in any order and cut the
journal anywhere. After every row the auditor has replayed the postings; at every cut both ways have
the same rated lines, ledger, alerts and rows; at the end neither ticks nor cuts had changed a
thing.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any, Final

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from polars.testing import assert_frame_equal

from processors.rating.columnar import rate
from processors.rating.rated import Rated
from processors.rating.reference import ReferenceRating
from projections.balances.alerts import Alert
from projections.balances.books import Books
from projections.balances.columnar import Folded, fold
from projections.balances.postings import ledger_frame
from projections.balances.recorded import as_recorded
from projections.rates.rows import RatingRow, decode_row, encode_row
from projections.rows import MemoryReader, Rows
from schemas.documents import VoidUsage, canonical
from schemas.frames import RATED_SCHEMA, JournalKind, RatedKind
from tests.projections import histories
from tests.projections.histories import Act, Unfolding
from tests.rating import PLACED_JOURNAL, document, rated_frame, tick, usage

_VOLUME: Final = [{"up_to": "4", "unit_price": "1"}, {"unit_price": "0.25", "flat": "0.5"}]
_PRICES: Final[dict[str, dict[str, Any]]] = {
    "p": {"model": "unit", "unit_price": "0.5"},
    "q": {"model": "package", "size": "3", "price": "2"},
    "v": {"model": "volume", "tiers": _VOLUME},
    "g": {
        "model": "graduated",
        "tiers": [{"up_to": "2", "unit_price": "0"}, {"unit_price": "1.5"}],
    },
}
_SUM: Final = {"aggregation": "sum", "value": "n"}


class Pipeline(Unfolding):
    """An unfolding history whose rows go through a journal and rating."""

    def __init__(self) -> None:
        self.journal: list[dict[str, Any]] = []
        self.rated: list[Rated] = []
        self.rating = ReferenceRating(Rows(MemoryReader(), encode_row, decode_row))
        self.events: list[tuple[str, str]] = []
        super().__init__()

    def __post_init__(self) -> None:
        for product in _PRICES:
            meter = {"event_type": f"call.{product}", **_SUM}
            self._write(document(self.now, {"kind": "Product", "id": product, "meter": meter}))
        self._write(document(self.now, self._card("standard", [*"pqv"])))
        super().__post_init__()

    def _card(self, name: str, products: Sequence[str]) -> dict[str, Any]:
        rates = [{"product": product, "price": _PRICES[product]} for product in products]
        version = {"version": 1, "effective_from": "2020-01-01T00:00:00Z", "rates": rates}
        return {"kind": "RateCard", "id": name, "versions": [version]}

    def price_all(self) -> None:
        """What waited for a price of product g may be replayed from here on."""
        self._write(document(self.now, self._card("standard", [*_PRICES])))

    def add(self, row: Mapping[str, Any]) -> None:
        """Journal a document or a tick."""
        if row["kind"] == RatedKind.TICK:
            self._write(tick(row["at"]))
            return
        fields = json.loads(row["data"])
        if fields["kind"] == "Account":
            fields["rate_card"] = "standard"
        if fields["kind"] == "Product":
            fields["meter"] = {"event_type": f"call.{fields['id']}", **_SUM}
        self._write(document(row["at"], fields))

    def _write(self, row: dict[str, Any]) -> None:
        index = len(self.journal)
        place = {"offset": index, "journal_offset": index // 3, "row": index % 3}
        [placed] = pl.DataFrame([{**row, **place}], schema=PLACED_JOURNAL).to_dicts()
        self.journal.append(placed)
        for made in self.rating.rate(placed):
            self.rated.append(made)
            if made.kind in (RatedKind.LINE, RatedKind.TICK, RatedKind.DOCUMENT):
                whole = dict(zip(RATED_SCHEMA, astuple(made), strict=True))
                self.auditor.check(self.model.fold(whole), self.model.books)

    def _line(
        self,
        account: str,
        product: str,
        cost: str,
        late: int,
        contract: str | None,
        match: str,
        tallied: bool,
        back: bool,
        team: str | None,
    ) -> None:
        """Usage of `cost` units; `match` and `tallied` choose among the products of an act's."""
        del back
        other = {"p": match != "{}", "q": tallied}[product]
        product = {"p": "v", "q": "g"}[product] if other else product
        data = {"n": cost} | ({} if team is None else {"team": team})
        name = self._number("e")
        event = {"time": self.now + late, "contract": contract, "id": name}
        self.events.append((account, name))
        self._write(usage(self.now, account, data, f"call.{product}", **event))

    def _void(self, account: str, which: int, part: int) -> None:
        """Usage never happened; sometimes a second time, sometimes of what was not priced."""
        del account, part
        if not self.events:
            return
        account, event = self.events[which % len(self.events)]
        name = self._number("x")
        command = VoidUsage(id=name, account=account, source="test", event=event)
        whole = as_recorded(command, ledger_frame(self.model.postings))
        self._write(document(self.now, json.loads(canonical(whole))))

    def replay(self, which: int) -> None:
        """Price what waits of one of the last events."""
        if self.events:
            account, event = self.events[-3:][which % len(self.events[-3:])]
            fields = {"id": self._number("y"), "source": "test", "event": event}
            self._document("replay", account, fields)

    def _again(self, account: str, which: int) -> None:
        del account
        known = [row for row in self.journal if row["kind"] == JournalKind.CREDITS]
        self._write(known[which % len(known)] | {"received_at": self.now})


class Columns:
    """Both columnar folds: a commit after every piece of the journal, and memory forgets."""

    def __init__(self) -> None:
        self.clock, self.at = 0, 0
        self.rating, self.balances = MemoryReader(), MemoryReader()
        self.rated = pl.DataFrame(schema=RATED_SCHEMA)
        self.folded: list[Folded] = []

    def go_on(self, journal: Sequence[Mapping[str, Any]]) -> None:
        """Fold what is new of the journal."""
        rows: Rows[RatingRow] = Rows(self.rating, encode_row, decode_row)
        part = pl.DataFrame(journal[self.at :], schema=PLACED_JOURNAL)
        rated, self.clock = rate(part, self.clock, rows)
        self.rating.commit(rows.take_changes())
        books = Books(self.balances)
        self.folded.append(fold(rated, books))
        self.balances.commit(books.rows.take_changes())
        self.rated = pl.concat([self.rated, rated])
        self.at = len(journal)

    @property
    def alerts(self) -> list[Alert]:
        """All of them."""
        return [alert for folded in self.folded for alert in folded.alerts]

    @property
    def ledger(self) -> pl.DataFrame:
        """All of it."""
        return pl.concat([folded.ledger for folded in self.folded])


class Machine(RuleBasedStateMachine):
    """Whatever may come, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.plain, self.columns = Pipeline(), Columns()

    def _do(self, act: Act) -> None:
        self.plain.act(act)

    @initialize(account=histories.ACCOUNT, contract=histories.CONTRACT, grant=histories.GRANT)
    def open(self, account: Act, contract: Act, grant: Act) -> None:
        """An account with terms, perhaps a contract and a grant."""
        for act in (account, contract, grant):
            self._do(Act(0, act.kind, {**act.fields, "account": "a"}))

    @rule(act=histories.LINE)
    def use(self, act: Act) -> None:
        """One event."""
        self._do(act)

    @rule(act=histories.LINES)
    def use_often(self, act: Act) -> None:
        """Many events."""
        self._do(act)

    @rule(act=histories.LINE)
    def use_up_to_a_tier(self, act: Act) -> None:
        """Two events that pass a tier of the volume price: the second gives back."""
        for quantity in ("3", "2"):
            passing = {"product": "p", "match": '{"m":"x"}', "cost": quantity}
            self._do(Act(0, act.kind, {**act.fields, **passing}))

    @rule(act=histories.GRANT)
    def grant(self, act: Act) -> None:
        """A grant."""
        self._do(act)

    @rule(act=st.one_of(histories.CONTRACT, histories.AMEND, histories.TERMINATE))
    def contract(self, act: Act) -> None:
        """A contract, an amendment, a termination."""
        self._do(act)

    @rule(act=st.one_of(histories.COMMAND, histories.SETTLE, histories.AGAIN))
    def command(self, act: Act) -> None:
        """A command, or a document once more."""
        self._do(act)

    @rule(act=st.one_of(histories.ACCOUNT, histories.CATALOG))
    def terms(self, act: Act) -> None:
        """Terms or tags change."""
        self._do(act)

    @rule(act=st.one_of(histories.HOLD, histories.END_HOLD, histories.END_HELD))
    def hold(self, act: Act) -> None:
        """Credits are held, captured, released; a grant ends of which something is held."""
        self._do(act)

    @rule(act=histories.VOID)
    def void(self, act: Act) -> None:
        """Usage is voided."""
        self._do(act)

    @rule(which=st.integers(0, 30), price=st.booleans())
    def replay(self, which: int, price: bool) -> None:
        """What waits is priced."""
        if price:
            self.plain.price_all()
        self.plain.replay(which)

    @rule(act=histories.TICK)
    def tick(self, act: Act) -> None:
        """Time passes."""
        self._do(act)

    @rule()
    def cut(self) -> None:
        """The columnar folds come as far as the plain ones, and agree."""
        if self.columns.at == len(self.plain.journal):
            return
        self.columns.go_on(self.plain.journal)
        expected = self.plain.model.outcome()
        assert_frame_equal(rated_frame(self.plain.rated), self.columns.rated)
        assert_frame_equal(expected.ledger, self.columns.ledger)
        assert expected.alerts == self.columns.alerts
        assert expected.rows == self.columns.balances.rows

    def teardown(self) -> None:
        """The end: a last tick, a last cut; then all of it in one piece without other ticks."""
        self.plain.now += histories.END
        self.plain.add({"kind": int(RatedKind.TICK), "at": self.plain.now})
        self.cut()
        *before, last = self.plain.journal
        fewer = Columns()
        fewer.go_on([*(row for row in before if row["kind"] != JournalKind.TICK), last])
        assert _content(self.columns) == _content(fewer)


def _content(columns: Columns) -> tuple[Counter[Any], Counter[Any]]:
    postings = columns.ledger.drop("journal_offset", "row", "ordinal").rows()
    told = ((alert.id, alert.at, alert.type, alert.amount) for alert in columns.alerts)
    return Counter(postings), Counter(told)


def _met(machine: Machine) -> set[str]:
    """What happened on the plain side."""
    plain = machine.plain
    labels = {posting.posting for posting in plain.model.postings}
    labels |= {alert.type for alert in plain.model.alerts}
    for made in plain.rated:
        labels.add(f"{RatedKind(made.kind).name} {made.reason or ''}".strip())
        if made.mirror is not None:
            labels.add("a void")
        elif made.cost is not None and made.cost < 0:
            labels.add("a crossing of a volume that gives back")
        if made.kind == RatedKind.LINE and made.contract is not None:
            labels.add("a line of a contract")
    return labels


def test_the_machine_meets_what_it_is_there_for() -> None:
    """Its agreement says something about each of these."""
    found: set[str] = set()

    class Watched(Machine):
        def teardown(self) -> None:
            super().teardown()
            found.update(_met(self))

    profile = settings(max_examples=40, stateful_step_count=30, derandomize=True, database=None)
    run_state_machine_as_test(Watched, settings=profile)
    assert found >= MET, MET - found


MET: Final = {
    *("LINE", "UNRATED no_rate", "REFUSED unknown_usage"),
    *("a void", "a crossing of a volume that gives back", "a line of a contract"),
    *("consumed", "overage", "rolled_over", "voided", "settled", "held", "released"),
    *("credits.balance.low", "credits.balance.recovered", "credits.limit.reached"),
    *("credits.overage.capped", "credits.overage.due", "credits.topup.requested"),
}

TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=40, stateful_step_count=25)
