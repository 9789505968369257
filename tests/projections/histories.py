"""Whole histories of drawdown as rated rows: what may come, in any order.

A history is drawn as `Act`s that name what they are about by number; `Unfolding` makes rated rows
of them with the reference beside it, so that a void carries what the ledger recorded, a line is
covered by a contract that runs, and a command names a grant that was rolled over an act before.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from hypothesis import strategies as st

from projections.balances.postings import OF_LINE, OVERAGE
from projections.balances.row import ACCOUNT as WHOLE_ACCOUNT
from projections.balances.row import BalanceRow
from projections.contracts import is_active
from schemas.frames import RATED_SCHEMA
from schemas.numbers import format_units
from schemas.periods import period_at
from schemas.times import format_instant
from tests.builders import ReferenceFold, at, line, rated_document, rated_tick
from tests.projections.auditor import Auditor

START: Final = at("2026-03-01T12:00:00Z")
HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
SECOND: Final = 1_000_000
END: Final = 200 * DAY
ACCOUNTS: Final = ("a", "b")
ZONES: Final = {"a": "America/New_York", "b": "UTC"}
CONTRACTS: Final = ("k1", "k2", "k3")
_ONE: Final = 10**9
_GAPS: Final = (0, 0, 0, 1, HOUR // 2, HOUR, 5 * HOUR, DAY, 3 * DAY, 9 * DAY, 40 * DAY)
_UNITS: Final = ("quantity", "before", "cost")


@dataclass(frozen=True)
class Act:
    """One thing that happens `gap` after the one before; `fields` are texts and numbers to pick."""

    gap: int
    kind: str
    fields: Mapping[str, Any]


_PLENTY = ("1", "5", "5", "10", "100", "0.000000007")
_COSTS = ("0", "0.1", "0.1", "0.5", "1", "1", "2.5", "7", "120")
_PRODUCTS: tuple[Any, ...] = (None, None, None, ["p"], ["q"], ["p", "q"])
_ROLLOVERS: tuple[Any, ...] = (
    None,
    {"mode": "full"},
    {"mode": "full", "max_times": 2, "expiry": "P3D"},
    {"mode": "percent", "percent": "33.3", "expiry": "P1M", "cap": "2"},
    {"mode": "percent", "percent": "50", "of": "issued", "threshold": "1", "into": "account"},
    {"mode": "none"},
)
_OVERAGES: tuple[Any, ...] = (
    {},
    {},
    {"settle": "next_grant"},
    {"settle": "next_grant", "multiplier": "1.5"},
    {"mode": "block"},
    {"mode": "cap", "cap": "3", "multiplier": "0.333333333"},
    {"mode": "cap", "cap": {"percent": "20"}, "settle": "next_grant"},
    {"mode": "grace", "grace": "PT5H"},
    {"multiplier": "0"},
)
_TOP_UPS: tuple[Any, ...] = (
    None,
    None,
    {"threshold": "2", "target": "10", "max_failures": 2},
    {"threshold": "4", "target": "5", "cooldown": "PT0S", "timeout": "PT2H", "max_per_period": 2},
)
_LIMITS: tuple[Any, ...] = (
    [],
    [],
    [{"id": "day", "by": "account", "amount": "3", "period": "daily"}],
    [{"id": "team", "by": "team", "products": ["p"], "amount": "2", "period": "weekly"}],
)
_ALERTS: tuple[Any, ...] = (
    [],
    [],
    [{"id": "left", "measure": "remaining_amount", "thresholds": ["5", "0.5", "100"]}],
    [{"id": "left", "measure": "remaining_amount", "thresholds": ["5"], "at_most_daily": True}],
    [
        {"id": "half", "measure": "remaining_percent", "thresholds": ["50", "10"]},
        {"id": "used", "measure": "consumed_percent", "thresholds": ["0", "33.3", "100"]},
    ],
    [
        {"id": "days", "measure": "days_left", "thresholds": ["3", "30"]},
        {"id": "ends", "measure": "grant_expiring", "thresholds": ["2", "20"]},
        {"id": "of-q", "measure": "remaining_percent", "thresholds": ["50"], "products": ["q"]},
    ],
)
_POLICIES: tuple[Any, ...] = (
    None,
    None,
    ["wallet_first", "expires_at"],
    ["prepaid_first", "rolled_over_first", "-cost_basis"],
    ["cost_basis", "specificity", "issued_at"],
)


def _recurring(scope: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    rule = st.fixed_dictionaries(
        {
            "id": st.just(f"{scope}.r"),
            "type": st.sampled_from(("prepaid", "promotional")),
            "amount": st.sampled_from(("1", "5")),
            "cadence": st.sampled_from(("weekly", "monthly", "monthly", "quarterly")),
            "expiry": st.sampled_from(("end_of_period", "P40D", "P2D", None)),
            "rollover": st.sampled_from(_ROLLOVERS),
            "products": st.sampled_from(_PRODUCTS),
            "per_seat": st.just(scope in CONTRACTS),
            "anchor": st.sampled_from((None, None, "2026-01-31", "2026-03-15")),
        }
    )
    return st.one_of(st.just([]), rule.map(lambda found: [found]))


def _fees(scope: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    fee = {"id": f"{scope}.f", "product": "p", "amount": "2", "cadence": "monthly"}
    return st.sampled_from(([], [], [fee], [fee | {"cadence": "weekly"}]))


def _terms(scope: str) -> dict[str, st.SearchStrategy[Any]]:
    return {
        "overage": st.sampled_from(_OVERAGES),
        "top_up": st.sampled_from(_TOP_UPS),
        "limits": st.sampled_from(_LIMITS),
        "alerts": st.sampled_from(_ALERTS),
        "burn_policy": st.sampled_from(_POLICIES),
        "recurring": _recurring(scope),
        "fees": _fees(scope),
    }


def _act(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Act]:
    drawn = {"account": st.sampled_from(("a", "a", "b")), **fields}
    return st.builds(Act, st.sampled_from(_GAPS), st.just(kind), st.fixed_dictionaries(drawn))


_WHICH = st.integers(0, 30)
_ALERTS_OF_ACCOUNT = st.sampled_from((*_ALERTS, None))
ACCOUNT = _act(
    "Account",
    terms=st.fixed_dictionaries(
        _terms("w")
        | {"alerts": _ALERTS_OF_ACCOUNT, "late_grace": st.sampled_from(("PT48H", "PT2H"))}
    ),
)
GRANT = _act(
    "Grant",
    terms=st.fixed_dictionaries(
        {
            "id": st.sampled_from(("g1", "g2", "g3", "g4", "g5", "g6", "g7")),
            "type": st.sampled_from(("prepaid", "promotional")),
            "amount": st.sampled_from(_PLENTY),
            "priority": st.sampled_from((50, 50, 10)),
            "products": st.sampled_from(_PRODUCTS),
            "tags": st.sampled_from((None, None, None, ["x"])),
            "rollover": st.sampled_from(_ROLLOVERS),
            "funding": st.sampled_from(("paid", "paid", "paid", "pending")),
            "contract": st.sampled_from((None, None, *CONTRACTS)),
        }
    ),
    starts=st.sampled_from((-3 * DAY, -HOUR, 0, 0, 0, HOUR, 2 * DAY)),
    lives=st.sampled_from((None, 2 * HOUR, DAY, 5 * DAY, 30 * DAY)),
    cost=st.booleans(),
    answers=st.booleans(),
)
CONTRACT = st.sampled_from(CONTRACTS).flatmap(
    lambda name: _act(
        "Contract",
        terms=st.fixed_dictionaries(
            _terms(name)
            | {
                "id": st.just(name),
                "seats": st.sampled_from((1, 3)),
                "billing": st.sampled_from(
                    (None, {"cycle": "monthly", "anchor": "2026-01-31"}, {"cycle": "quarterly"})
                ),
                "renews": st.sampled_from((None, *(one for one in CONTRACTS if one < name))),
            }
        ),
        starts=st.sampled_from((-40 * DAY, 0, 0, HOUR, 9 * DAY)),
        lives=st.sampled_from((None, 5 * DAY, 40 * DAY, 90 * DAY)),
        grants=st.sampled_from(((), (), ("5",), ("1", "10"))),
    )
)
AMEND = st.sampled_from(CONTRACTS).flatmap(
    lambda name: _act(
        "amend_contract",
        contract=st.just(name),
        changes=st.one_of(
            [st.fixed_dictionaries({term: values}) for term, values in _terms(name).items()]
            + [st.just({"ends_at": None})]
        ),
        starts=st.sampled_from((-DAY, 0, 0, DAY, 9 * DAY)),
        ends=st.sampled_from((None, None, DAY, 30 * DAY)),
    )
)
LINE = _act(
    "line",
    product=st.sampled_from(("p", "p", "q")),
    cost=st.sampled_from(_COSTS),
    late=st.sampled_from((0, 0, 0, 0, -1, -3 * HOUR, -30 * HOUR, -5 * DAY, HOUR)),
    contract=st.sampled_from((None, *CONTRACTS)),
    match=st.sampled_from(("{}", "{}", '{"m":"x"}')),
    tallied=st.booleans(),
    back=st.sampled_from((False, False, True)),
    team=st.sampled_from((None, "red", "blue")),
)
LINES = _act(
    "lines",
    costs=st.lists(
        st.tuples(
            st.sampled_from(("p", "p", "q")), st.sampled_from(("0", "0.1", "0.1", "0.5", "1"))
        ),
        min_size=2,
        max_size=8,
    ),
    late=st.sampled_from((0, 0, -DAY, -5 * DAY)),
    contract=st.sampled_from((None, None, *CONTRACTS)),
    tallied=st.booleans(),
)
COMMAND = _act(
    "command",
    name=st.sampled_from(
        ("void_grant", "refund_grant", "adjust_grant",
            "adjust_grant", "fund_grant", "fund_grant", "purchase",
         "set_seats", "top_up_failed")
    ),
    which=_WHICH,
    contract=st.sampled_from((None, *CONTRACTS)),
    amount=st.sampled_from(("1", "5", "-1", "-5", "0.000000001", "all")),
    id=st.sampled_from(("c1", "c2", "new", "new", "new", "new")),
)  # fmt: skip
SETTLE = _act(
    "command",
    name=st.just("settle_overage"),
    which=_WHICH,
    contract=st.none(),
    amount=st.sampled_from(("5", "all", "all", "all")),
    id=st.just("new"),
)
TERMINATE = _act(
    "terminate_contract",
    contract=st.sampled_from(CONTRACTS),
    starts=st.sampled_from((-DAY, 0, 0, 2 * DAY)),
    policy=st.sampled_from(("expire", "refund", "to_account")),
)
HOLD = _act(
    "hold",
    product=st.sampled_from(("p", "p", "q")),
    amount=st.sampled_from(("0.000000001", "0.1", "0.5", "1", "all", "all", "more")),
    contract=st.sampled_from((None, None, *CONTRACTS)),
    lasts=st.sampled_from((None, "PT1S", "PT5H", "P3D", "P7D", "P7D", "end")),
    id=st.sampled_from(("new", "new", "h1")),
)
END_HOLD = _act(
    "end_hold",
    name=st.sampled_from(("capture_hold", "capture_hold", "release_hold")),
    which=_WHICH,
    amount=st.sampled_from((None, None, "part", "part", "0.1", "more")),
    id=st.sampled_from(("new", "new", "x1", "x2")),
)
CATALOG = _act("Product", id=st.sampled_from(("p", "q")), tags=st.sampled_from(([], ["x"])))
TICK = _act("tick")
VOID = _act("void", which=_WHICH, part=st.sampled_from((1, 1, 2, 3)))
AGAIN = _act("again", which=_WHICH)
_OFTEN = (LINE,) * 6 + (LINES,) * 3 + (VOID, VOID, COMMAND, COMMAND, GRANT, GRANT, TICK)
_ACTS = st.one_of(*_OFTEN, SETTLE, CONTRACT, AMEND, TERMINATE, ACCOUNT, CATALOG, AGAIN)
_PLAIN = st.builds(lambda: Act(0, "Account", {"terms": {"alerts": []}}))


END_HELD = _act(
    "end_held",
    how=st.sampled_from(("void_grant", "refund_grant", "adjust_grant", "time")),
    which=_WHICH,
)


@st.composite
def reservations(draw: st.DrawFn) -> list[Act]:
    """Credits are held; something happens, perhaps their grants end; and perhaps the hold does."""
    between = st.one_of(LINE, LINES, TICK, HOLD, TERMINATE, COMMAND)
    acts = [*draw(st.lists(GRANT, max_size=1)), draw(HOLD), *draw(st.lists(LINES, max_size=1))]
    acts += [*draw(st.lists(between, max_size=2)), *draw(st.lists(END_HELD, max_size=2))]
    acts += draw(st.lists(END_HOLD, min_size=1, max_size=3))
    account = draw(st.sampled_from(("a", "a", "a", "b")))
    gaps = [draw(st.sampled_from((0, 0, SECOND, SECOND, HOUR, DAY))) for _ in acts]
    return [
        Act(gap, act.kind, {**act.fields, "account": account})
        for gap, act in zip(gaps, acts, strict=True)
    ]


@st.composite
def histories(draw: st.DrawFn, longest: int = 24) -> list[Act]:
    """Some grants, perhaps a contract, then anything."""
    opening = [draw(st.one_of(_PLAIN, ACCOUNT)), *draw(st.lists(CONTRACT, max_size=3))]
    opening += draw(st.lists(GRANT, min_size=1, max_size=3))
    rest = draw(st.lists(_ACTS, min_size=draw(st.sampled_from((1, 6, 12))), max_size=longest))
    return [Act(0, act.kind, {**act.fields, "account": "a"}) for act in opening] + rest


@st.composite
def holdings(draw: st.DrawFn) -> list[Act]:
    """Some grants, perhaps a contract, then credits that are held, one time after the other."""
    opening = [draw(st.one_of(_PLAIN, ACCOUNT)), *draw(st.lists(CONTRACT, max_size=2))]
    opening += draw(st.lists(GRANT, min_size=2, max_size=3))
    rest = draw(st.lists(reservations(), min_size=1, max_size=5))
    common = [Act(0, act.kind, {**act.fields, "account": "a"}) for act in opening]
    return common + [act for acts in rest for act in acts]


@dataclass
class _Line:
    """A line that was drawn: what a void of it carries."""

    row: dict[str, Any]
    short: int
    overage: int
    slices: list[tuple[str, int]]


@dataclass
class Unfolding:
    """The rated rows of a history, and the reference that has folded them under audit."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    now: int = START
    model: ReferenceFold = field(default_factory=ReferenceFold)
    auditor: Auditor = field(default_factory=Auditor)
    _drawn: list[_Line] = field(default_factory=list)
    _numbers: int = 0

    def __post_init__(self) -> None:
        pack = {"kind": "Pack", "id": "pack", "amount": "5", "type": "prepaid", "expiry": "P9D"}
        price = {"amount": "20", "currency": "USD"}
        self.add(rated_document(self.now, {**pack, "price": price, "rollover": _ROLLOVERS[2]}))
        for account in ACCOUNTS:
            self._document("Account", account, {"id": account, "alerts": []})

    def play(self, acts: Sequence[Act]) -> "Unfolding":
        """All of it, and a last tick long after: everything due by then happens."""
        for act in acts:
            self.act(act)
        self.now += END
        self.add(rated_tick(self.now))
        return self

    def act(self, act: Act) -> None:
        """One thing happens."""
        self.now += act.gap
        getattr(self, f"_{act.kind}")(**act.fields)

    def add(self, row: Mapping[str, Any]) -> None:
        """Fold one rated row and audit what it did."""
        index = len(self.rows)
        place = {"journal_offset": index // 6, "row": index // 2 % 3, "ordinal": index % 2}
        self.rows.append(dict(row))
        whole: dict[str, Any] = dict.fromkeys(RATED_SCHEMA) | dict(row) | place
        for name in _UNITS:
            if whole[name] is not None:
                whole[name] = int(Decimal(whole[name]).scaleb(9))
        step = self.model.fold(whole)
        self.auditor.check(step, self.model.books)
        if row.get("product") is not None:
            self._remember(dict(row), step.postings, whole["cost"])

    def _remember(self, row: dict[str, Any], postings: Sequence[Any], cost: int) -> None:
        mine = [one for one in postings if one.posting in OF_LINE and one.line["source"]]
        slices = [(one.grant, one.amount) for one in mine if one.grant and one.posting in OF_LINE]
        overage = sum(one.amount for one in mine if one.posting == OVERAGE)
        if row["mirror"] is None:
            short = cost - sum(amount for _, amount in slices)
            self._drawn.append(_Line(row, short, overage, slices))

    def _of(self, account: str) -> BalanceRow:
        row = self.model.books.account(account)
        assert row is not None
        return row

    def _document(self, kind: str, account: str, fields: Mapping[str, Any]) -> None:
        whole = {
            "kind": kind,
            **{name: value for name, value in fields.items() if value is not None},
        }
        if kind == "Account":
            whole["time_zone"] = ZONES[account]
        else:
            whole["account"] = account
        self.add(rated_document(self.now, whole))

    def _contract(self, account: str, name: str | None) -> str | None:
        """A contract of the account in the place of one that it has not; seldom one it has not."""
        known = self._of(account).terms.contracts
        if name is None or name in known:
            return name
        return next(iter(known), name if name == "k3" else None)

    def _number(self, prefix: str) -> str:
        self._numbers += 1
        return f"{prefix}{self._numbers}"

    def _tick(self, account: str) -> None:  # noqa: ARG002 - for all accounts
        self.add(rated_tick(self.now))

    def _Account(self, account: str, terms: Mapping[str, Any]) -> None:  # noqa: N802
        self._document("Account", account, {"id": account, **terms})

    def _Product(self, account: str, id: str, tags: list[str]) -> None:  # noqa: A002, ARG002, N802
        meter = {"event_type": "call", "aggregation": "count"}
        fields = {"kind": "Product", "id": id, "meter": meter, "tags": tags}
        self.add(rated_document(self.now, fields))

    def _Grant(  # noqa: N802
        self,
        account: str,
        terms: Mapping[str, Any],
        starts: int,
        lives: int | None,
        cost: bool,
        answers: bool,
    ) -> None:
        begin = self.now + starts
        fields = {**terms, "effective_at": format_instant(begin)}
        fields["contract"] = self._contract(account, terms["contract"])
        if lives is not None:
            fields["expires_at"] = format_instant(begin + lives)
        if cost and terms["type"] == "prepaid":
            fields["cost"] = {"amount": "9.99", "currency": "EUR"}
        if answers:
            fields["request"] = self._request(account)
        self._document("Grant", account, fields)

    def _request(self, account: str) -> str | None:
        states = [scope.top_up for scope in self._of(account).scopes.values()]
        return next((state.request for state in states if state and state.request), None)

    def _Contract(  # noqa: N802
        self,
        account: str,
        terms: Mapping[str, Any],
        starts: int,
        lives: int | None,
        grants: Sequence[str],
    ) -> None:
        begin = self.now + starts
        fields = {**terms, "starts_at": format_instant(begin)}
        if lives is not None:
            fields["ends_at"] = format_instant(begin + lives)
        name = terms["id"]
        fields["grants"] = [
            {"id": f"{name}.g{index}", "type": "prepaid", "amount": amount}
            for index, amount in enumerate(grants)
        ]
        self._document("Contract", account, fields)

    def _amend_contract(
        self,
        account: str,
        contract: str,
        changes: Mapping[str, Any],
        starts: int,
        ends: int | None,
    ) -> None:
        whole = dict(changes)
        if "ends_at" in whole and ends is not None:
            whole["ends_at"] = format_instant(self.now + ends)
        effective_at = format_instant(self.now + starts)
        contract = self._contract(account, contract) or contract
        fields = {"contract": contract, "effective_at": effective_at, "changes": whole}
        self._document("amend_contract", account, {"id": self._number("m"), **fields})

    def _terminate_contract(self, account: str, contract: str, starts: int, policy: str) -> None:
        contract = self._contract(account, contract) or contract
        fields = {"contract": contract, "at": format_instant(self.now + starts), "policy": policy}
        self._document("terminate_contract", account, {"id": self._number("t"), **fields})

    def _command(
        self,
        account: str,
        name: str,
        which: int,
        contract: str | None,
        amount: str,
        id: str,  # noqa: A002
    ) -> None:
        grants = sorted(self.auditor.grants.get(account, {"none": None}))
        contract = self._contract(account, contract)
        fields: dict[str, Any] = {"id": self._number("c") if id == "new" else id}
        match name:
            case "purchase":
                fields |= {"pack": "pack", "quantity": which % 3 + 1, "contract": contract}
            case "set_seats":
                fields |= {"contract": contract or "k1", "seats": which % 4}
            case "settle_overage":
                scopes = self._of(account).scopes
                owed = {name: scopes[name].overage for name in scopes if name != WHOLE_ACCOUNT}
                scope = max(owed, key=lambda name: owed[name])
                part = max(owed[scope] // (which % 3 + 1), 1)
                fields["contract"] = scope or None
                fields["amount"] = format_units(part, 9) if amount == "all" else amount
            case "top_up_failed":
                fields |= {"request": self._request(account) or "wallet-1"}
            case _:
                fields |= {"grant": grants[which % len(grants)]}
        if name == "adjust_grant":
            fields["amount"] = "-0.5" if amount == "all" else amount
        self._document(name, account, fields)

    def _hold(
        self,
        account: str,
        product: str,
        amount: str,
        contract: str | None,
        lasts: str | None,
        id: str,  # noqa: A002
    ) -> None:
        """Reserve credits, perhaps all that there are, perhaps just until a grant ends."""
        free = max(self._of(account).available, 1)
        asked = {"all": format_units(free, 9), "more": format_units(free + 1, 9)}
        fields = {
            "id": self._number("h") if id == "new" else id,
            "product": product,
            "amount": asked.get(amount, amount),
            "contract": self._contract(account, contract),
            "expires_in": self._to_an_end(account) if lasts == "end" else lasts,
        }
        self._document("place_hold", account, fields)

    def _end_held(self, account: str, how: str, which: int) -> None:
        """A grant ends of which something is held, or all that is free is to be taken and more."""
        row = self._of(account)
        held = [grant for grant in row.grants if grant.held and grant.state == "active"]
        ends = [grant.terms.expires_at for grant in held]
        soon = [end for end in ends if end is not None and self.now < end <= (row.holds_until or 0)]
        if how == "time" and soon:
            self.now = soon[which % len(soon)]
            self.add(rated_tick(self.now))
        elif how != "time" and held:
            grant = held[which % len(held)]
            more = {"amount": format_units(-grant.free - 1, 9)} if how == "adjust_grant" else {}
            self._document(how, account, {"id": self._number("c"), "grant": grant.id, **more})

    def _to_an_end(self, account: str) -> str | None:
        """How long it is until the next grant ends, in whole seconds; None where none ends soon."""
        ends = [grant.terms.expires_at for grant in self._of(account).grants]
        left = [end - self.now for end in ends if end is not None]
        soon = [span for span in left if SECOND <= span <= 7 * DAY and not span % SECOND]
        return f"PT{min(soon) // SECOND}S" if soon else None

    def _end_hold(
        self,
        account: str,
        name: str,
        which: int,
        amount: str | None,
        id: str,  # noqa: A002
    ) -> None:
        """End one of the last holds, mostly one that is open."""
        mine = self.auditor.holds
        known = [one for of, one in mine.ended if of == account][-2:]
        known += [one for of, one in mine.open if of == account] * 3
        hold = known[which % len(known)] if known else "h1"
        fields = {"id": self._number("x") if id == "new" else id, "hold": hold}
        if name == "capture_hold" and amount is not None:
            open_hold = mine.open.get((account, hold))
            whole = 10 if open_hold is None else sum(open_hold.slices.values())
            asked = {"part": max(whole // 2, 1), "more": whole + 1}
            fields["amount"] = format_units(asked[amount], 9) if amount in asked else amount
        self._document(name, account, fields)

    def _lines(
        self,
        account: str,
        costs: Sequence[tuple[str, str]],
        late: int,
        contract: str | None,
        tallied: bool,
    ) -> None:
        """Usage as it mostly comes: many lines, one after the other."""
        match = '{"m":"x"}' if tallied else "{}"
        for product, cost in costs:
            self.now += 1_000_000
            self._line(
                account, product, cost, late, contract, match, tallied, back=False, team=None
            )

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
        time = self.now + late
        contract = self._contract(account, contract)
        lineage = self._of(account).terms.contracts.get(contract or "")
        if lineage is None or not is_active(lineage, time):
            contract = None
        self.add(
            line(
                self.now,
                account,
                product,
                f"-{cost}" if back and tallied else cost,
                time,
                id=self._number("e"),
                contract=contract,
                match=match,
                period=period_at(time, "monthly", None, "UTC")[0],
                before=Decimal(1) if tallied else None,
                entities=None if team is None else json.dumps([["team", contract, team]]),
                mirror=None,
            )
        )

    def _void(self, account: str, which: int, part: int) -> None:  # noqa: ARG002 - the line's
        """Take a line back; where its price was cumulative, perhaps for a part of its cost."""
        if not self._drawn:
            return
        recorded = self._drawn.pop(which % len(self._drawn))
        row, slices = recorded.row, recorded.slices
        mirror = {"overage": recorded.overage, "short": recorded.short, "slices": slices}
        cost = -abs(row["cost"])
        if row["before"] is not None:
            cost = (cost / part).quantize(Decimal("1e-9"))
        back = {"at": self.now, "quantity": Decimal(-1), "cost": cost, "mirror": json.dumps(mirror)}
        self.add(row | back)

    def _again(self, account: str, which: int) -> None:  # noqa: ARG002 - the document's
        """A document or command comes a second time."""
        documents = [row for row in self.rows if "data" in row]
        self.add(documents[which % len(documents)] | {"at": self.now})
