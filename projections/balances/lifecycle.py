"""A grant's life: issued, funded, effective, expired, rolled over (credits.md sections 3 and 6)."""

from dataclasses import replace

from projections.balances import overage, top_up
from projections.balances.alerts import (
    GRANT_EXPIRED,
    GRANT_ISSUED,
    GRANT_ROLLED_OVER,
    GRANT_VOIDED,
)
from projections.balances.new import New, rollover_of
from projections.balances.postings import EXPIRED, ISSUED, RECEIVED, ROLLED_OVER, VOIDED
from projections.balances.row import WALLET, BalanceRow, GrantRow, GrantTerms
from projections.balances.step import Step
from projections.balances.terms import account_terms
from projections.contracts import contract_of, end_of
from projections.cost_basis import slice_money
from schemas.documents import Rollover
from schemas.numbers import QUANTITY_DECIMALS, round_half_even
from schemas.periods import add_duration
from schemas.times import DAY, parse_duration

_HUNDRED = 100 * 10**QUANTITY_DECIMALS


def issue(row: BalanceRow, new: New, step: Step) -> None:
    """Issue a grant that is not there yet: pending, scheduled, active, or at once expired."""
    now = step.now.at
    terms = GrantTerms(
        id=new.id,
        number=row.issued_grants,
        type=new.type,
        contract=new.contract,
        effective_at=new.effective_at,
        expires_at=_earlier(new.expires_at, _contract_end(row, new.contract, now)),
        own_expires_at=new.expires_at,
        priority=new.priority,
        products=new.products,
        tags=new.tags,
        paid=new.paid,
        currency=new.currency,
        rollover=new.rollover,
        request=new.request,
        issued_at=now,
        digest=new.digest,
        root=new.id,
        times=0,
        root_effective_at=new.effective_at,
    )
    grant = _add(row, terms, new.amount, step)
    step.post(row.account, ISSUED, grant.id, grant.issued, contract=terms.contract)
    step.alert(GRANT_ISSUED, row.account, new.contract, grant=grant.id, amount=grant.issued)
    if new.pending:
        grant.state = "pending"
        if _is_over(terms, step):
            expire(row, grant, step)
        return
    _begin(row, grant, step)


def _add(row: BalanceRow, terms: GrantTerms, amount: int, step: Step) -> GrantRow:
    grant = GrantRow(terms.id, "scheduled", amount, amount, terms=terms)
    row.issued_grants += 1
    row.grants.append(grant)
    row.terms.grants[terms.id] = terms
    step.books.put_terms(row)
    return grant


def _begin(row: BalanceRow, grant: GrantRow, step: Step) -> None:
    """A grant is funded: it counts as issued to its scope, and waits until it is effective."""
    terms = grant.terms
    row.scopes[terms.contract or WALLET].issued += grant.issued
    top_up.answered(row, grant)
    grant.state = "scheduled"
    if terms.effective_at <= step.instant:
        activate(row, grant, step)
    if _is_over(terms, step):
        expire(row, grant, step)


def _is_over(terms: GrantTerms, step: Step) -> bool:
    """Whether the grant's end has come; what ends later than what is due now has its own turn."""
    return terms.expires_at is not None and terms.expires_at <= step.instant


def fund(row: BalanceRow, grant: GrantRow, step: Step) -> None:
    """`fund_grant`: a pending grant was paid."""
    _begin(row, grant, step)


def activate(row: BalanceRow, grant: GrantRow, step: Step) -> None:
    """A funded grant becomes effective; where overage waits for one, it repays that first."""
    grant.state = "active"
    terms = grant.terms
    if terms.times == 0 and not _is_over(terms, step):
        overage.repay(row, grant, step)


def expire(row: BalanceRow, grant: GrantRow, step: Step) -> None:
    """The grant's end: what rolls over lives on, the rest is breakage; a pending one is voided.

    What is held stays until its hold has ended.
    """
    terms = grant.terms
    grant.ended_at = terms.expires_at
    if grant.state == "pending":
        amount, grant.remaining, grant.state = grant.remaining, 0, "lapsed"
        grant.voided += amount
        step.post(row.account, VOIDED, grant.id, amount, contract=terms.contract)
        step.alert(GRANT_VOIDED, row.account, terms.contract, grant=grant.id, amount=amount)
        return
    grant.state = "expired"
    if terms.rollover is not None and grant.free:
        _roll_over(row, grant, rollover_of(terms.rollover), step)
    amount, grant.remaining = grant.free, grant.held
    grant.expired += amount
    step.post(row.account, EXPIRED, grant.id, amount, contract=terms.contract)
    step.alert(GRANT_EXPIRED, row.account, terms.contract, grant=grant.id, amount=amount)


def rolling_amount(rollover: Rollover, issued: int, remaining: int) -> int:
    """What rolls over: the percentage, then the cap, then the threshold (section 6)."""
    if rollover.mode == "none":
        return 0
    amount = remaining
    if rollover.percent is not None:
        base = issued if rollover.of == "issued" else remaining
        amount = min(remaining, round_half_even(base * rollover.percent.units, _HUNDRED))
    if rollover.cap is not None:
        amount = min(amount, rollover.cap.units)
    if rollover.threshold is not None and amount < rollover.threshold.units:
        return 0
    return amount


def _roll_over(row: BalanceRow, grant: GrantRow, rollover: Rollover, step: Step) -> None:
    terms = grant.terms
    assert terms.expires_at is not None, terms
    amount = rolling_amount(rollover, grant.issued, grant.free)
    if not amount or (rollover.max_times is not None and terms.times >= rollover.max_times):
        return
    contract = None if rollover.into == "account" else terms.contract
    if contract is not None:
        contract = _living_contract(row, contract, terms.expires_at)
        if contract is None:
            return
    before = grant.issued - grant.remaining
    own_end = _rolled_end(row, terms, rollover)
    child = replace(
        terms,
        id=f"{terms.root}~{terms.times + 1}",
        number=row.issued_grants,
        contract=contract,
        effective_at=terms.expires_at,
        expires_at=_earlier(own_end, _contract_end(row, contract, terms.expires_at)),
        own_expires_at=own_end,
        paid=slice_money(terms.paid, grant.issued, before, amount),
        request=None,
        issued_at=step.now.at,
        times=terms.times + 1,
    )
    grant.remaining -= amount
    grant.rolled_over += amount
    step.post(
        row.account, ROLLED_OVER, grant.id, amount, reference=child.id, contract=terms.contract
    )
    step.alert(GRANT_ROLLED_OVER, row.account, terms.contract, grant=grant.id, amount=amount)
    rolled = _add(row, child, amount, step)
    rolled.state = "active"
    step.post(row.account, RECEIVED, rolled.id, amount, reference=grant.id, contract=contract)
    step.alert(GRANT_ISSUED, row.account, contract, grant=rolled.id, amount=amount)


def _rolled_end(row: BalanceRow, terms: GrantTerms, rollover: Rollover) -> int:
    """`expiry` after the parent's end; absent: as long as the parent lived; at least a day.

    Less would let one document roll over without end at every tick.
    """
    assert terms.expires_at is not None, terms
    if rollover.expiry is None:
        end = terms.expires_at + (terms.expires_at - terms.effective_at)
    else:
        zone = account_terms(row.terms.document).time_zone
        end = add_duration(terms.expires_at, parse_duration(rollover.expiry), zone)
    return max(end, terms.expires_at + DAY)


def _living_contract(row: BalanceRow, contract: str, at: int) -> str | None:
    """The contract, or the one that renews it, if it has not ended at `at`."""
    seen = set()
    name: str | None = contract
    while name is not None and name not in seen:
        seen.add(name)
        end = end_of(row.terms.contracts[name], at)
        if end is None or at < end:
            return name
        name = next(
            (
                other
                for other, lineage in row.terms.contracts.items()
                if contract_of(lineage.latest.document).renews == name
            ),
            None,
        )
    return None


def _contract_end(row: BalanceRow, contract: str | None, at: int) -> int | None:
    return None if contract is None else end_of(row.terms.contracts[contract], at)


def _earlier(one: int | None, other: int | None) -> int | None:
    ends = [end for end in (one, other) if end is not None]
    return min(ends) if ends else None
