"""A check and a drawdown of the same line at the same position always agree (8.1)."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.rating.rated import Rated
from processors.rating.reference import ReferenceRating
from projections.balances.books import Books
from projections.balances.postings import OVERAGE, ledger_frame
from projections.balances.recorded import as_recorded
from projections.balances.reference import fold_row
from projections.entitlement import Check, Question, check
from projections.rates.extract import load_data
from projections.rates.rows import RatingRow, decode_row, encode_row
from projections.reading.check import tariffs_of
from projections.rows import MemoryReader, Rows
from schemas.documents import VoidUsage, canonical
from schemas.frames import RATED_SCHEMA, JournalKind, RatedKind
from schemas.numbers import Quantity
from schemas.reasons import Reason
from schemas.times import format_instant
from tests.rating import at, document, journal, tick, usage

START = at("2026-03-28")
HOUR = 3_600_000_000
PRODUCTS = {
    "unit": {"model": "unit", "unit_price": "0.5"},
    "flat": {"model": "flat", "price": "2"},
    "package": {"model": "package", "size": "5", "price": "3"},
    "graduated": {
        "model": "graduated",
        "tiers": [{"up_to": "6", "unit_price": "1", "flat": "1"}, {"unit_price": "0.3"}],
    },
    "volume": {
        "model": "volume",
        "tiers": [{"up_to": "8", "unit_price": "5"}, {"unit_price": "0.1"}],
    },
}
"""Each product is metered of events of its own type, and priced as its name says."""


class World:
    """Both folds by their references, and what a check would say before each event."""

    def __init__(self) -> None:
        self.rating, self.balances = MemoryReader(), MemoryReader()
        self._rows: Rows[RatingRow] = Rows(self.rating, encode_row, decode_row)
        self._rate = ReferenceRating(self._rows)
        self._books = Books(self.balances)
        self._ledger: list[pl.DataFrame] = []
        self._taken = 0

    def take(self, entry: Mapping[str, Any]) -> tuple[Rated, Check | None, int, bool] | None:
        """Fold one journal row; of a line: it, the check before it, its overage and its mark."""
        placed = journal([entry]).row(0, named=True) | {"journal_offset": self._taken}
        placed["id"] = entry.get("id") or f"e{self._taken}"
        self._taken += 1
        clock = max(self._rate.clock, placed["received_at"])
        said = self.ask(placed, clock) if placed["kind"] == JournalKind.USAGE else None
        told = None
        for line in self._rate.rate(placed):
            step = fold_row({name: getattr(line, name) for name in RATED_SCHEMA}, self._books)
            own = [post for post in step.postings if post.line and post.line["source"] is not None]
            owed = sum(post.amount for post in own if post.posting == OVERAGE)
            told = (line, said, owed, any(post.unauthorised for post in own))
            self._ledger.append(ledger_frame(step.postings))
        self.rating.commit(self._rows.take_changes())
        self.balances.commit(self._books.rows.take_changes())
        return told

    def ask(self, event: Mapping[str, Any], clock: int) -> Check:
        """The check of an event's line, on copies of the rows."""
        data = load_data(event["data"])
        return self.check(
            Question(
                event["account"],
                event["type"],
                Quantity.parse(str(data["n"])).units,
                event["time"],
                clock,
                data,
                event["contract"],
            )
        )

    def check(self, question: Question) -> Check:
        """The check, on copies of the rows, which stay as they are."""
        before = dict(self.rating.rows), dict(self.balances.rows)
        rows: Rows[RatingRow] = Rows(self.rating, encode_row, decode_row)
        said = check(question, tariffs_of(rows, question.account), Books(self.balances))
        assert before == (self.rating.rows, self.balances.rows)
        return said

    def recorded(self, command: VoidUsage) -> dict[str, Any]:
        """A void with the lines that the ledger has."""
        found: dict[str, Any] = json.loads(
            canonical(as_recorded(command, pl.concat(self._ledger))).decode()
        )
        return found


def account(**terms: Any) -> dict[str, Any]:
    """An account's document."""
    return {"kind": "Account", "id": "acme", "rate_card": "standard", **terms}


def call(now: int, product: str, quantity: object, **changes: Any) -> dict[str, Any]:
    """A journal row of usage, which names a team."""
    return usage(now, "acme", {"n": quantity, "team": "red"}, product, **changes)


def catalog(now: int) -> list[dict[str, Any]]:
    """The products and their prices."""
    rates = [{"product": name, "price": price} for name, price in PRODUCTS.items()]
    version = {"version": 1, "effective_from": "2026-01-01T00:00:00Z", "rates": rates}
    meters = {name: {"event_type": name, "aggregation": "sum", "value": "n"} for name in PRODUCTS}
    products: list[dict[str, Any]] = [
        {"kind": "Product", "id": name, "tags": ["ai"], "meter": meter}
        for name, meter in meters.items()
    ]
    card = {"kind": "RateCard", "id": "standard", "versions": [version]}
    return [document(now, fields) for fields in (*products, card)]


amounts = st.sampled_from(("1", "3", "7.5", "20", "60"))
overages = st.sampled_from(
    (
        {},
        {"mode": "block"},
        {"mode": "cap", "cap": "9", "multiplier": "1.5"},
        {"mode": "cap", "cap": {"percent": "50"}},
        {"mode": "grace", "grace": "PT12H"},
        {"multiplier": "0.333333333", "settle": "next_grant"},
    )
)
policies = st.sampled_from((None, ["wallet_first", "expires_at"], ["-cost_basis", "priority"]))


@st.composite
def terms(draw: st.DrawFn) -> dict[str, Any]:
    """What an account and a contract have in common."""
    found: dict[str, Any] = {"overage": draw(overages), "burn_policy": draw(policies)}
    if draw(st.booleans()):
        by = draw(st.sampled_from(("account", "team")))
        period = draw(st.sampled_from(("daily", "weekly", "monthly")))
        found["limits"] = [{"id": "l", "by": by, "amount": draw(amounts), "period": period}]
    if draw(st.booleans()):
        found["fees"] = [{"id": "f", "product": "unit", "amount": "2", "cadence": "daily"}]
    return found


def _with_own_fees(fields: dict[str, Any], number: int) -> dict[str, Any]:
    for fee in fields.get("fees", ()):
        fee["id"] = f"f{number}"
    return fields


@st.composite
def about_holds(draw: st.DrawFn, number: int, contracts: list[str]) -> dict[str, Any]:
    """Credits are held, or one of three holds is ended."""
    common = {"account": "acme", "kind": "place_hold", "id": f"h{number % 3}"}
    if draw(st.sampled_from((True, True, False))):
        return common | {
            "product": draw(st.sampled_from(tuple(PRODUCTS))),
            "amount": draw(amounts),
            "contract": draw(st.sampled_from((None, *contracts))),
            "expires_in": draw(st.sampled_from(("PT1H", "PT5H", "P3D"))),
        }
    kind = draw(st.sampled_from(("capture_hold", "release_hold")))
    return common | {"kind": kind, "id": f"e{number}", "hold": f"h{draw(st.integers(0, 2))}"}


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Documents, usage, voids and ticks of one account in any order."""
    now = START
    zone = draw(st.sampled_from(("UTC", "Europe/Berlin")))
    rows = [*catalog(now), document(now, account(time_zone=zone, **draw(terms())))]
    contracts: list[str] = []
    for number in range(draw(st.integers(5, 30))):
        now += draw(st.sampled_from((0, 1, 1, 5, 30))) * HOUR
        match draw(st.integers(0, 18)):
            case 0:
                rows.append(document(now, account(time_zone=zone, **draw(terms()))))
            case 1:
                contracts.append(f"k{number}")
                fields = _with_own_fees(draw(terms()), number)
                rows.append(
                    document(
                        now,
                        {
                            "kind": "Contract",
                            "id": f"k{number}",
                            "account": "acme",
                            "starts_at": format_instant(now - HOUR),
                            "ends_at": format_instant(now + draw(st.integers(1, 90)) * HOUR),
                            "overrides": [
                                {"tag": "ai", "multiplier": draw(amounts)},
                                {"product": "unit", "price": PRODUCTS["volume"]},
                            ][: draw(st.integers(0, 2))],
                            **fields,
                        },
                    )
                )
            case 2 | 3 | 4:
                contract = draw(st.sampled_from((None, *contracts)))
                life = draw(st.sampled_from((None, 2, 40)))
                grant = {
                    "kind": "Grant",
                    "id": f"g{number}",
                    "account": "acme",
                    "contract": contract,
                    "type": "promotional",
                    "amount": draw(amounts),
                    "effective_at": format_instant(now),
                    "expires_at": None if life is None else format_instant(now + life * HOUR),
                    **draw(st.sampled_from(({}, {"products": ["unit"]}, {"tags": ["ai"]}))),
                    "rollover": draw(st.sampled_from((None, {"mode": "full", "max_times": 1}))),
                }
                rows.append(document(now, grant))
            case 5:
                rows.append(tick(now))
            case 6:
                at_ = draw(st.integers(0, len(rows) - 1))
                rows.append({"void": f"e{at_}", "received_at": now})
            case 7 if contracts:
                command = {
                    "kind": "terminate_contract",
                    "id": f"x{number}",
                    "account": "acme",
                    "contract": draw(st.sampled_from(contracts)),
                    "at": format_instant(now),
                    "policy": draw(st.sampled_from(("expire", "to_account"))),
                }
                rows.append(document(now, command))
            case 8 | 9 | 10:
                rows.append(document(now, draw(about_holds(number, contracts))))
            case _:
                late = draw(st.sampled_from((0, 0, 1, 3, 50))) * HOUR
                product = draw(st.sampled_from((*PRODUCTS, "unknown")))
                quantity = draw(st.sampled_from((0, 1, "2.5", 9)))
                named = draw(st.sampled_from((None, *contracts)))
                rows.append(call(now, product, quantity, time=now - late, contract=named))
    return rows


def agreed(rows: Sequence[dict[str, Any]]) -> Counter[str]:
    """Fold the history; each check must say what then happens. Counts what was said."""
    world, seen = World(), Counter[str]()
    for row in rows:
        entry = row
        if "void" in row:
            void = VoidUsage(
                id=f"v-{row['void']}", account="acme", source="test", event=row["void"]
            )
            entry = document(row["received_at"], world.recorded(void))
        told = world.take(entry)
        if told is None or told[1] is None:
            continue
        line, said, owed, denied = told
        assert said is not None
        if line.kind == RatedKind.UNRATED:
            assert line.reason in (said.why, Reason.NO_PRODUCT), (line, said)
            assert not said.allowed, said
            seen["unrated"] += 1
            continue
        assert (line.cost, owed, not denied) == (said.cost, said.would_overage, said.allowed), said
        seen[said.why or "allowed"] += 1
        seen["negative" if (line.cost or 0) < 0 else "overage" if owed else "paid"] += 1
    return seen


@settings(max_examples=120)
@given(histories())
def test_a_check_says_what_then_happens(rows: list[dict[str, Any]]) -> None:
    agreed(rows)


def test_every_answer_comes_about() -> None:
    """One account: allowed, each denial, overage and credits that come back."""
    now, day = START, 24 * HOUR
    limit = {"id": "team", "by": "team", "amount": "6", "period": "daily"}
    rows = [
        *catalog(now),
        document(now, account()),
        call(now, "volume", 8),
        call(now, "volume", 1),
        document(now, account(overage={"mode": "block"})),
        call(now, "unit", 1),
        document(now, account(overage={"mode": "cap", "cap": "1"})),
        call(now, "unit", 9),
        document(now, account(overage={"mode": "grace", "grace": "PT1H"})),
        call(now + 2 * HOUR, "unit", 1),
        document(now + day, account(limits=[limit])),
        call(now + day, "unit", 9),
        call(now + day, "unit", 9),
        call(now + day, "unknown", 9),
    ]
    seen = agreed(rows)
    reasons = ("allowed", "block", "cap", "grace", "limit team", "unrated", "negative")
    assert [seen[name] for name in reasons] == [3, 1, 1, 1, 1, 1, 1], seen


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ({"account": "nobody"}, "unknown_account"),
        ({"product": "other"}, "unknown_product"),
        ({"quantity": -1}, "negative_quantity"),
        ({"time": 0}, "no_version"),
        ({"quantity": 10**28}, "cost_out_of_range"),
    ],
)
def test_what_has_no_price_is_denied(question: dict[str, Any], why: str) -> None:
    world = World()
    for row in (*catalog(START), document(START, account())):
        world.take(row)
    usual: dict[str, Any] = {
        "account": "acme",
        "product": "unit",
        "quantity": 1,
        "time": START,
        "clock": START,
    }
    said = world.check(Question(**(usual | question)))
    assert said == Check(why, 0, None, None)
    assert not said.allowed


def test_what_is_due_by_then_is_done_in_the_copy() -> None:
    """A grant that ends before the journal time of the answer does not pay any more."""
    world = World()
    grant = {
        "kind": "Grant",
        "id": "g",
        "account": "acme",
        "type": "promotional",
        "amount": "10",
        "effective_at": format_instant(START),
        "expires_at": format_instant(START + HOUR),
    }
    for row in (*catalog(START), document(START, account()), document(START, grant)):
        world.take(row)
    before = Question("acme", "unit", 2 * 10**9, START, START)
    after = Question("acme", "unit", 2 * 10**9, START + 2 * HOUR, START + 2 * HOUR)
    assert world.check(before) == Check(None, 10 * 10**9, 10**9, 0)
    assert world.check(after) == Check(None, 0, 10**9, 10**9)


def test_what_is_held_is_not_there_until_its_time_is_over() -> None:
    """In the copy too a hold ends before the journal time of the answer."""
    world = World()
    effective = format_instant(START)
    grant = {"kind": "Grant", "id": "g", "account": "acme", "type": "promotional", "amount": "10"}
    hold = {"kind": "place_hold", "id": "h", "account": "acme", "product": "unit", "amount": "9.5"}
    documents = (account(overage={"mode": "block"}), {**grant, "effective_at": effective}, hold)
    for row in (*catalog(START), *(document(START, fields) for fields in documents)):
        world.take(row)
    quarter = 15 * 60_000_000
    before = Question("acme", "unit", 2 * 10**9, START, START + quarter - 1)
    after = Question("acme", "unit", 2 * 10**9, START, START + quarter)
    assert world.check(before) == Check("block", 500_000_000, 10**9, 500_000_000)
    assert world.check(after) == Check(None, 10 * 10**9, 10**9, 0)
