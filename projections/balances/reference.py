"""The plain reference of drawdown: one rated row at a time (credits.md sections 4, 6 and 7). Pure.

`projections.balances.columnar` must give the same postings, alerts and rows for every cut of the
log (I5); it comes here itself wherever a boundary is crossed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from projections.balances.alerts import (
    GRANT_EXPIRED,
    GRANT_ISSUED,
    OVERAGE_STARTED,
    Alert,
    Cause,
    evaluate,
    forget_removed,
)
from projections.balances.burn import draw, take
from projections.balances.postings import (
    CONSUMED,
    EXPIRED,
    ISSUED,
    ORDINAL_BITS,
    OVERAGE,
    REOPENED,
    Posting,
)
from projections.balances.row import (
    BalanceRow,
    GrantRow,
    new_grant,
    next_due,
    terms_of,
)
from projections.rows import Rows
from schemas.documents import Account, Grant, canonical, parse_document
from schemas.frames import RatedKind
from schemas.reasons import Reason


@dataclass(frozen=True, slots=True)
class Refused:
    """A document that drawdown refused, with its bytes."""

    journal_offset: int
    row: int
    account: str
    reason: str
    detail: str
    data: bytes


@dataclass(slots=True)
class Step:
    """What one rated row does: postings, alerts and refusals, in order."""

    rated: Mapping[str, Any]
    postings: list[Posting] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    @property
    def position(self) -> str:
        """`journal offset:row:ordinal` of the rated row."""
        return f"{self.rated['journal_offset']}:{self.rated['row']}:{self.rated['ordinal']}"

    def cause(self) -> Cause:
        """The record itself as a cause."""
        return Cause(self.rated["at"], self.position, self.position)

    def post(
        self,
        account: str,
        posting: str,
        grant: str | None,
        amount: int,
        at: int,
        line: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a posting; its ordinal counts those of this rated row."""
        number = len(self.postings)
        # A tick is its journal row's only output: its postings may run on.
        assert number < 1 << ORDINAL_BITS or self.rated["kind"] == RatedKind.TICK, self.position
        ordinal = (self.rated["ordinal"] << ORDINAL_BITS) + number
        self.postings.append(
            Posting(
                self.rated["journal_offset"],
                self.rated["row"],
                ordinal,
                at,
                account,
                posting,
                grant,
                amount,
                line,
            )
        )


def fold_row(
    rated: Mapping[str, Any], rows: Rows[BalanceRow], due: Iterable[str] | None = None
) -> Step:
    """Fold one rated row; `cost` and `quantity` are units.

    `due` names, sorted, the accounts that a tick need look at; absent: whichever the rows say.
    """
    step = Step(rated)
    kind, clock = rated["kind"], rated["at"]
    if kind == RatedKind.TICK:
        for account in rows.due(clock) if due is None else due:
            row = rows.get(account)
            if row is not None and do_what_is_due(row, clock, step):
                rows.put(account, row)
    elif kind == RatedKind.LINE:
        row = rows.get(rated["account"])
        assert row is not None, rated["account"]
        do_what_is_due(row, clock, step)
        _draw_line(row, step)
        rows.put(row.account, row)
    elif kind == RatedKind.DOCUMENT:
        _apply_document(rows, step)
    return step


def do_what_is_due(row: BalanceRow, clock: int, step: Step) -> bool:
    """Everything due for the account up to `clock`, in order of due time (credits.md section 2).

    Stamped with the later of its due time and the journal time at which it became known: ticks
    bound the delay and change no result. Gives whether anything was due.
    """
    anything = False
    while (due := next_due(row)) is not None and due <= clock:
        anything = True
        items = sorted(
            (grant for grant in row.grants if _due_at(grant) == due),
            key=lambda grant: (grant.expires_at != due, grant.id),
        )
        at = max(due, *(grant.known_at for grant in items))
        for grant in items:
            if grant.expires_at == due:
                _expire(row, grant, at, step)
            else:
                grant.state = "active"
        cause = Cause(at, f"{items[-1].id}@{due}", step.position)
        step.alerts.extend(evaluate(row, cause))
        row.plan = None
    return anything


def _due_at(grant: GrantRow) -> int | None:
    if grant.state == "expired":
        return None
    return grant.effective_at if grant.state == "scheduled" else grant.expires_at


def _expire(row: BalanceRow, grant: GrantRow, at: int, step: Step) -> None:
    amount = grant.remaining
    grant.state, grant.remaining = "expired", 0
    grant.expired += amount
    step.post(row.account, EXPIRED, grant.id, amount, at)
    cause = Cause(at, f"{grant.id}@{grant.expires_at}", step.position)
    step.alerts.append(Alert(GRANT_EXPIRED, row.account, cause, grant=grant.id, amount=amount))


def _draw_line(row: BalanceRow, step: Step) -> None:
    line = step.rated
    cost, clock = line["cost"], line["at"]
    assert cost >= 0, line
    row.plan = None
    row.clock = clock
    if cost == 0:
        step.post(row.account, CONSUMED, None, 0, clock, line)
    grace = terms_of(row.document).late_grace
    slices, left = draw(row, line["product"], cost, line["time"], clock, grace)
    for part in slices:
        take(part)
        kind = REOPENED if part.reopened else CONSUMED
        step.post(row.account, kind, part.grant.id, part.amount, clock, line)
    started = left > 0 and row.overage == 0
    if left:
        row.overage += left
        step.post(row.account, OVERAGE, None, left, clock, line)
    step.alerts.extend(evaluate(row, step.cause()))
    if started:
        step.alerts.append(Alert(OVERAGE_STARTED, row.account, step.cause(), amount=left))


def _apply_document(rows: Rows[BalanceRow], step: Step) -> None:
    rated, clock = step.rated, step.rated["at"]
    document = parse_document(rated["data"])
    assert isinstance(document, Account | Grant), rated  # rating has let nothing else through
    row = rows.get(rated["account"])
    if isinstance(document, Account):
        text = canonical(document).decode()
        if row is None:
            row = BalanceRow(document.id, text, clock)
        do_what_is_due(row, clock, step)
        if row.document != text:
            row.document = text
            forget_removed(row)
    else:
        assert row is not None, rated["account"]
        do_what_is_due(row, clock, step)
        if not _issue(row, document, step):
            rows.put(row.account, row)
            return
    row.plan = None
    row.clock = clock
    step.alerts.extend(evaluate(row, step.cause()))
    rows.put(row.account, row)


def _issue(row: BalanceRow, grant: Grant, step: Step) -> bool:
    """Issue a grant; False where it was there before: nothing changes, or it is a conflict."""
    clock = step.rated["at"]
    digest = blake2b(canonical(grant), digest_size=16).hexdigest()
    existing = next((held for held in row.grants if held.id == grant.id), None)
    if existing is not None:
        if existing.digest != digest:
            detail = f"grant {grant.id} was applied before with other content; the first stands"
            step.refused.append(
                Refused(
                    step.rated["journal_offset"],
                    step.rated["row"],
                    row.account,
                    str(Reason.CONFLICT),
                    detail,
                    step.rated["data"],
                )
            )
        return False
    scheduled = grant.effective_at > clock
    issued = new_grant(grant, digest, clock, "scheduled" if scheduled else "active")
    row.grants.append(issued)
    step.post(row.account, ISSUED, grant.id, issued.issued, clock)
    step.alerts.append(
        Alert(GRANT_ISSUED, row.account, step.cause(), grant=grant.id, amount=issued.issued)
    )
    if issued.expires_at is not None and issued.expires_at <= clock:
        _expire(row, issued, clock, step)
    return True
