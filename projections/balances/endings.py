"""How grants end before their time, change, and leave the row (credits.md section 6)."""

from typing import Final

from projections.balances.alerts import GRANT_EXPIRED, GRANT_REFUNDED, GRANT_VOIDED
from projections.balances.postings import ADJUSTED, EXPIRED, REFUNDED, VOIDED
from projections.balances.row import ENDED, BalanceRow, GrantRow, State
from projections.balances.step import Step
from projections.balances.wire import RetiredRow
from projections.cost_basis import slice_money
from schemas.numbers import CREDIT_DECIMALS, format_units

_ALERTS: Final = {
    "voided": GRANT_VOIDED,
    "refunded": GRANT_REFUNDED,
    "closed": GRANT_EXPIRED,
    "lapsed": GRANT_VOIDED,
}
_VOIDED: Final = ("voided", "lapsed")
_POSTINGS: Final = {
    "voided": VOIDED,
    "refunded": REFUNDED,
    "closed": EXPIRED,
    "lapsed": VOIDED,
    "expired": EXPIRED,
}


def end(row: BalanceRow, grant: GrantRow, state: State, step: Step) -> None:
    """The remainder leaves now: voided, refunded with its cost, or closed, expired for good.

    What is held stays until its hold has ended. A drained or ended grant is left unchanged.
    """
    if grant.state in ENDED or not grant.remaining:
        return
    grant.state, grant.ended_at = state, step.now.at
    amount = grant.free
    _leave(row, grant, amount, step)
    step.alert(_ALERTS[state], row.account, grant.terms.contract, grant=grant.id, amount=amount)


def follow(row: BalanceRow, grant: GrantRow, amount: int, step: Step) -> None:
    """What a hold has set free of a grant that has ended goes where its remainder went."""
    if amount and grant.state in ENDED:
        _leave(row, grant, amount, step)


def _leave(row: BalanceRow, grant: GrantRow, amount: int, step: Step) -> None:
    """Part of the remainder of a grant that has ended leaves as its state says."""
    money = _money_back(grant, amount) if grant.state == "refunded" else None
    grant.remaining -= amount
    _to_ended_part(grant, amount)
    contract, posting = grant.terms.contract, _POSTINGS[grant.state]
    step.post(row.account, posting, grant.id, amount, reference=money, contract=contract)


def _money_back(grant: GrantRow, amount: int) -> str | None:
    """What the next `amount` credits of the remainder cost: `8.5 USD`."""
    terms = grant.terms
    if terms.currency is None:
        return None
    units = slice_money(terms.paid, grant.issued, grant.issued - grant.remaining, amount)
    return f"{format_units(units, CREDIT_DECIMALS)} {terms.currency}"


def adjust(row: BalanceRow, grant: GrantRow, amount: int, reason: str | None, step: Step) -> bool:
    """Change what was issued; False where it would be less than what has gone or is held of it."""
    part = grant.free if grant.state not in ENDED else _ended_part(grant)
    if part + amount < 0:
        return False
    grant.issued += amount
    contract = grant.terms.contract
    step.post(row.account, ADJUSTED, grant.id, amount, reference=reason, contract=contract)
    if grant.state in ENDED:
        _to_ended_part(grant, amount)
        step.post(row.account, _POSTINGS[grant.state], grant.id, amount, contract=contract)
    else:
        grant.remaining += amount
    return True


def terminate(row: BalanceRow, contract: str, policy: str, step: Step) -> None:
    """`terminate_contract` falls due: its credits stop by the policy; nothing rolls or reopens."""
    row.scopes[contract].ended = True
    for grant in list(row.grants):
        if grant.terms.contract != contract:
            continue
        if policy == "to_account":
            _to_account(row, grant, step)
        elif grant.state == "pending":
            end(row, grant, "lapsed", step)
        elif grant.state == "expired" or (grant.state not in ENDED and not grant.remaining):
            grant.ended_at = step.now.at if grant.ended_at is None else grant.ended_at
            grant.state = "closed"
        elif policy == "refund" and grant.terms.type == "prepaid":
            end(row, grant, "refunded", step)
        else:
            end(row, grant, "closed", step)


def _to_account(row: BalanceRow, grant: GrantRow, step: Step) -> None:
    """The grant becomes customer-level; its own end holds again."""
    if grant.state in ENDED:
        return
    grant.terms.contract = None
    grant.terms.expires_at = grant.terms.own_expires_at
    step.books.put_terms(row)


def retire(row: BalanceRow, grant: GrantRow, step: Step) -> None:
    """Nothing reaches the grant any more: it leaves for a row of its own."""
    assert step.books.retired(row.account, grant.id) is None, grant
    step.books.put_retired(row.account, RetiredRow(grant, row.last_retired))
    row.retired += 1
    row.retired_consumed += grant.consumed
    row.last_retired = grant.id
    row.grants.remove(grant)
    del row.terms.grants[grant.id]
    step.books.put_terms(row)
    for key in [key for key in row.fired if key[3] == grant.id]:
        del row.fired[key]


def _ended_part(grant: GrantRow) -> int:
    if grant.state in _VOIDED:
        return grant.voided
    return grant.refunded if grant.state == "refunded" else grant.expired


def _to_ended_part(grant: GrantRow, amount: int) -> None:
    if grant.state in _VOIDED:
        grant.voided += amount
    elif grant.state == "refunded":
        grant.refunded += amount
    else:
        grant.expired += amount
