"""Holds: credits reserved for a bounded time, then captured or free again (credits.md section 10).

A hold reserves what a line of its product would draw as it is placed, or nothing: never overage. Of
each grant the row keeps how much is held; which hold holds it stands in the hold's own row.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from projections.balances import limits
from projections.balances.books import hold_key, open_holds_key
from projections.balances.burn import Draw, slices_for
from projections.balances.days import spend
from projections.balances.endings import follow
from projections.balances.hold_rows import MOST_OPEN, HoldRow
from projections.balances.new import digest_of
from projections.balances.postings import CONSUMED, HELD, RELEASED
from projections.balances.row import WALLET, BalanceRow
from projections.balances.step import Step
from projections.balances.terms import billing_period, terms_at
from projections.contracts import in_force
from projections.rates.coverage import Tagged, covering
from schemas.documents import CaptureHold, Command, PlaceHold, ReleaseHold
from schemas.numbers import CREDIT_DECIMALS, format_units
from schemas.reasons import Reason, Refusal
from schemas.times import parse_duration

_AT_ONCE: Final = 1_000
"""Rows of holds that are read together where many end."""
HoldCommand = PlaceHold | CaptureHold | ReleaseHold


def digest_before(row: BalanceRow, command: HoldCommand, step: Step) -> str | None:
    """The digest of the command that was applied under this one's identity, None where none was.

    The hold's row is the memory of its commands: one that ends a hold is known by the hold and its
    own id.
    """
    if isinstance(command, PlaceHold):
        placed = step.books.hold(row.account, command.id, step.now.at)
        return None if placed is None else placed.digest
    hold = step.books.hold(row.account, command.hold, step.now.at)
    if hold is None or hold.ended_by is None or hold.state != _STATES[type(command)]:
        return None
    name, digest = hold.ended_by
    return digest if name == command.id else None


_STATES: Final[dict[type[Command], str]] = {CaptureHold: "captured", ReleaseHold: "released"}


def place(row: BalanceRow, command: PlaceHold, step: Step) -> Refusal | None:
    """Reserve what a line of the product would draw now; all of it, or nothing."""
    named, now = command.contract, step.now.at
    if named is not None and named not in row.terms.contracts:
        return Refusal(Reason.UNKNOWN_CONTRACT, f"no contract {named}", "contract")
    open_holds = step.books.open_holds(row.account)
    if len(open_holds.ends) >= MOST_OPEN:
        return Refusal(Reason.TOO_MANY_HOLDS, f"{MOST_OPEN} holds are open")
    tags = step.books.tags(command.product)
    found = covering(row.terms.contracts, Tagged(command.product, tags), now, named)
    contract = None if found is None else found.contract.id
    ask = Draw(command.product, tags, contract or WALLET, now, now)
    slices, short = slices_for(row, ask, command.amount.units)
    if short:
        able = format_units(command.amount.units - short, CREDIT_DECIMALS)
        detail = f"{able} of {command.amount} credits are available for it"
        return Refusal(Reason.INSUFFICIENT_CREDITS, detail, "amount")
    for part in slices:
        assert not part.reopened, part
        part.grant.held += part.amount
        of = part.grant.terms.contract
        step.post(row.account, HELD, part.grant.id, part.amount, reference=command.id, contract=of)
    end = now + parse_duration(command.expires_in).microseconds
    pairs = [(part.grant.id, part.amount) for part in slices]
    hold = HoldRow(digest_of(command), command.product, contract, now, end, pairs)
    step.books.put_hold(row.account, command.id, hold)
    open_holds.add(end, command.id)
    step.books.put_open_holds(row.account, open_holds)
    row.holds_until = open_holds.first
    return None


def capture(row: BalanceRow, command: CaptureHold, step: Step) -> Refusal | None:
    """Consume all of a hold or part of it; the hold is over."""
    hold = _open(row, command.hold, step)
    if isinstance(hold, Refusal):
        return hold
    amount = hold.amount if command.amount is None else command.amount.units
    if amount > hold.amount:
        detail = f"the hold holds {format_units(hold.amount, CREDIT_DECIMALS)} credits"
        return Refusal(Reason.EXCEEDS_HOLD, detail, "amount")
    hold.state, hold.captured = "captured", amount
    hold.ended_by = (command.id, digest_of(command))
    _draw(row, command.hold, hold, step)
    return None


def release(row: BalanceRow, command: ReleaseHold, step: Step) -> Refusal | None:
    """All of a hold is free again."""
    hold = _open(row, command.hold, step)
    if isinstance(hold, Refusal):
        return hold
    hold.state, hold.ended_by = "released", (command.id, digest_of(command))
    _end(row, command.hold, hold, step)
    return None


HOLD_COMMANDS: Final[dict[str, Callable[[BalanceRow, Any, Step], Refusal | None]]] = {
    "place_hold": place,
    "capture_hold": capture,
    "release_hold": release,
}


class _Named(msgspec.Struct, gc=False):
    """What a command says of the rows that it leads to."""

    kind: str
    id: str
    account: str | None = None
    hold: str | None = None


_naming: Final = msgspec.json.Decoder(_Named)


def rows_of(documents: Iterable[bytes]) -> Iterator[str]:
    """The keys of rows that commands of holds lead to, for reading them together."""
    for raw in documents:
        try:
            named = _naming.decode(raw)
        except msgspec.MsgspecError:
            continue  # it is read again where it is applied
        if named.kind in HOLD_COMMANDS and named.account is not None:
            yield open_holds_key(named.account)
            yield hold_key(named.account, named.hold or named.id)


def expire_holds(row: BalanceRow, step: Step) -> None:
    """The time of every hold that ends at this instant is over, by id."""
    for name in list(_ending(row, step)):
        hold = _open(row, name, step)
        assert isinstance(hold, HoldRow), (row.account, name)
        hold.state = "expired"
        _end(row, name, hold, step)


def _ending(row: BalanceRow, step: Step) -> Iterator[str]:
    """The holds that end at this instant; the rows of many that end soon are read together."""
    ends = step.books.open_holds(row.account).ends
    if not step.books.rows.holds(hold_key(row.account, ends[0][1])):
        soon = [name for end, name in ends[:_AT_ONCE] if end <= step.rated["at"]]
        step.books.rows.load(hold_key(row.account, name) for name in soon)
    for end, name in ends:
        if end > step.instant:
            return
        yield name


def _open(row: BalanceRow, name: str, step: Step) -> HoldRow | Refusal:
    """The hold of that id, if it is open."""
    hold = step.books.hold(row.account, name, step.now.at)
    if hold is None:
        return Refusal(Reason.UNKNOWN_HOLD, f"no hold {name}", "hold")
    if hold.ended_at is not None:
        return Refusal(Reason.HOLD_ENDED, f"hold {name} was {hold.state} before", "hold")
    return hold


def _draw(row: BalanceRow, name: str, hold: HoldRow, step: Step) -> None:
    """Draw what was captured like a line of when the hold was placed; the rest is released."""
    line, scope = _line(row, name, hold), hold.contract or WALLET
    found = limits.uses(step.books, row, scope, hold.product, hold.placed_at, {})
    spend(row, scope, hold.captured, step.now.at)
    _end(row, name, hold, step, line)
    limits.count(found, row, scope, hold.captured, step)


def _end(
    row: BalanceRow, name: str, hold: HoldRow, step: Step, line: dict[str, Any] | None = None
) -> None:
    """Each slice is released; what was captured of it is consumed, for the `line`."""
    left = hold.captured
    for of_grant, amount in hold.slices:
        grant = row.grant(of_grant)
        assert grant is not None, (row.account, of_grant)  # it stays while anything of it is held
        contract = grant.terms.contract
        grant.held -= amount
        step.post(row.account, RELEASED, of_grant, amount, reference=name, contract=contract)
        taken = min(left, amount)
        left -= taken
        if taken:
            grant.remaining -= taken
            grant.consumed += taken
            step.post(row.account, CONSUMED, of_grant, taken, line, reference=name)
        follow(row, grant, amount - taken, step)
    hold.ended_at = step.now.at
    step.books.put_hold(row.account, name, hold)
    open_holds = step.books.open_holds(row.account)
    open_holds.drop(hold.expires_at, name)
    step.books.put_open_holds(row.account, open_holds)
    row.holds_until = open_holds.first


def _line(row: BalanceRow, name: str, hold: HoldRow) -> dict[str, Any]:
    """What was captured, as a line: nothing was metered, so its quantity is 0."""
    scope, revision = hold.contract or WALLET, None
    if hold.contract is not None:
        revision = in_force(row.terms.contracts[hold.contract], hold.placed_at).number
    period, _ = billing_period(row, terms_at(row, scope, hold.placed_at), hold.placed_at)
    return {
        "source": None,
        "id": name,
        "time": hold.placed_at,
        "product": hold.product,
        "contract": hold.contract,
        "named": None,
        "revision": revision,
        "override": None,
        "rate_card": None,
        "version": None,
        "match": f"hold:{name}",
        "period": period,
        "price": None,
        "before": None,
        "quantity": 0,
        "cost": hold.captured,
        "entities": None,
        "mirror": None,
    }
