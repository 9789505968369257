"""Documents and commands, one function each: what they do to an account (credits.md section 3).

A function gives nothing, or the refusal that says why nothing was done.
"""

from collections.abc import Callable
from typing import Any, Final

from projections.balances import overage, top_up
from projections.balances.endings import adjust, end
from projections.balances.holds import HOLD_COMMANDS
from projections.balances.lifecycle import fund, issue
from projections.balances.measures import forget_removed
from projections.balances.new import New, of_document, of_purchase
from projections.balances.periodic import rules_of, start_cursors
from projections.balances.row import WALLET, BalanceRow, GrantRow, Scope
from projections.balances.step import Step
from projections.contracts import amended, begin, contract_of, end_of, terminate
from schemas.documents import (
    Account,
    AdjustGrant,
    AmendContract,
    Contract,
    FundGrant,
    Grant,
    Pack,
    Purchase,
    RefundGrant,
    SetSeats,
    SettleOverage,
    TerminateContract,
    TopUpFailed,
    VoidGrant,
    canonical,
    parse_document,
)
from schemas.numbers import CREDIT_DECIMALS, LIMIT
from schemas.reasons import Reason, Refusal

_TOO_LATE: Final = "the contract ends before the grant would begin"


def apply_account(row: BalanceRow, account: Account, step: Step) -> None:
    """The account's terms are replaced from here on."""
    before = rules_of(row, WALLET) if row.terms.document else {}
    row.terms.document = canonical(account).decode()
    step.books.put_terms(row)
    start_cursors(row, WALLET, step.now.at, before)
    forget_removed(row)


def apply_grant(row: BalanceRow, grant: Grant, step: Step) -> Refusal | None:
    """Issue a grant."""
    if grant.contract is not None and grant.contract not in row.terms.contracts:
        return _no_contract(grant.contract)
    new = of_document(grant, _start_of(row, grant.contract))
    if _begins_too_late(row, new):
        return Refusal(Reason.INVALID_DOCUMENT, _TOO_LATE, "effective_at")
    issue(row, new, step)
    return None


def _start_of(row: BalanceRow, contract: str | None) -> int:
    """The start of a contract: none of its grants is effective before."""
    if contract is None:
        return 0
    return contract_of(row.terms.contracts[contract].revisions[0].document).starts_at


def _begins_too_late(row: BalanceRow, new: New) -> bool:
    """Whether a contract's grant would begin when the contract has ended."""
    if new.contract is None:
        return False
    end = end_of(row.terms.contracts[new.contract], new.effective_at)
    return end is not None and new.effective_at >= end


def apply_contract(row: BalanceRow, contract: Contract, step: Step) -> Refusal | None:
    """A new contract, with the grants that it brings."""
    for grant in contract.own_grants():
        if find(row, grant.id, step) is not None:
            detail = f"grant {grant.id} was issued before; the contract was not applied"
            return Refusal(Reason.CONFLICT, detail)
    row.terms.contracts[contract.id] = begin(contract, step.now.at)
    row.scopes[contract.id] = Scope(seats=contract.seats)
    step.books.put_terms(row)
    for grant in contract.own_grants():
        issue(row, of_document(grant, contract.starts_at), step)
    return None


def _amend(row: BalanceRow, command: AmendContract, step: Step) -> Refusal | None:
    lineage = row.terms.contracts.get(command.contract)
    if lineage is None:
        return _no_contract(command.contract)
    revision = amended(lineage, command, step.now.at)
    if isinstance(revision, Refusal):
        return revision
    lineage.revisions.append(revision)
    step.books.put_terms(row)
    return None


def _terminate(row: BalanceRow, command: TerminateContract, step: Step) -> Refusal | None:
    lineage = row.terms.contracts.get(command.contract)
    if lineage is None:
        return _no_contract(command.contract)
    terminate(lineage, command, step.now.at)
    step.books.put_terms(row)
    return None


def _of_grant(
    act: Callable[[BalanceRow, GrantRow, Any, Step], Refusal | None],
) -> Callable[[BalanceRow, Any, Step], Refusal | None]:
    """A command that names a grant, by what it does to that grant, retired or not."""

    def apply(row: BalanceRow, command: Any, step: Step) -> Refusal | None:  # noqa: ANN401
        grant = find(row, command.grant, step)
        if grant is None:
            return Refusal(Reason.UNKNOWN_GRANT, f"no grant {command.grant}", "grant")
        return act(row, grant, command, step)

    return apply


def _void(row: BalanceRow, grant: GrantRow, _command: VoidGrant, step: Step) -> None:
    end(row, grant, "lapsed" if grant.state == "pending" else "voided", step)


def _refund(row: BalanceRow, grant: GrantRow, _command: RefundGrant, step: Step) -> None:
    end(row, grant, "lapsed" if grant.state == "pending" else "refunded", step)


def _adjust(row: BalanceRow, grant: GrantRow, command: AdjustGrant, step: Step) -> Refusal | None:
    if not adjust(row, grant, command.amount.units, command.reason, step):
        detail = f"grant {command.grant} has less than {-command.amount.units} to give back"
        return Refusal(Reason.BELOW_CONSUMED, detail, "amount")
    if row.grant(grant.id) is None:
        retired = step.books.retired(row.account, grant.id)
        assert retired is not None, grant
        step.books.put_retired(row.account, retired)
    if grant.state not in ("pending", "lapsed") and grant.terms.times == 0:
        row.scopes[grant.terms.contract or WALLET].issued += command.amount.units
    return None


def _fund(row: BalanceRow, grant: GrantRow, command: FundGrant, step: Step) -> Refusal | None:
    if grant.state != "pending":
        return Refusal(Reason.NOT_PENDING, f"grant {command.grant} is {grant.state}", "grant")
    fund(row, grant, step)
    return None


def _purchase(row: BalanceRow, command: Purchase, step: Step) -> Refusal | None:
    text = step.books.catalog().packs.get(command.pack)
    if text is None:
        return Refusal(Reason.UNKNOWN_PACK, f"no pack {command.pack}", "pack")
    if command.contract is not None and command.contract not in row.terms.contracts:
        return _no_contract(command.contract)
    if find(row, command.id, step) is not None:
        return Refusal(Reason.CONFLICT, f"grant {command.id} was issued before", "id")
    pack = parse_document(text.encode())
    assert isinstance(pack, Pack), text
    starts_at = _start_of(row, command.contract)
    new = of_purchase(row, command, pack, max(step.now.at, starts_at))
    if _begins_too_late(row, new):
        return Refusal(Reason.INVALID_DOCUMENT, _TOO_LATE, "effective_at")
    if new.amount > LIMIT * 10**CREDIT_DECIMALS or new.paid > LIMIT * 10**CREDIT_DECIMALS:
        return Refusal(Reason.INVALID_DOCUMENT, f"expected at most {LIMIT} credits", "quantity")
    issue(row, new, step)
    return None


def _set_seats(row: BalanceRow, command: SetSeats, _step: Step) -> Refusal | None:
    if command.contract not in row.terms.contracts:
        return _no_contract(command.contract)
    row.scopes[command.contract].seats = command.seats
    return None


def _settle(row: BalanceRow, command: SettleOverage, step: Step) -> Refusal | None:
    scope = command.contract or WALLET
    if scope not in row.scopes:
        return _no_contract(scope)
    if command.amount.units > row.scopes[scope].overage:
        return Refusal(Reason.EXCEEDS_OVERAGE, "more than the unsettled overage", "amount")
    overage.settle(row, scope, command.amount.units, command.reference or command.id, step)
    return None


def _top_up_failed(row: BalanceRow, command: TopUpFailed, step: Step) -> Refusal | None:
    if not top_up.fail_by_name(row, command.request, step):
        detail = f"no request {command.request} is in flight"
        return Refusal(Reason.UNKNOWN_REQUEST, detail, "request")
    return None


COMMANDS: Final[dict[str, Callable[[BalanceRow, Any, Step], Refusal | None]]] = {
    "Grant": apply_grant,
    "Contract": apply_contract,
    "amend_contract": _amend,
    "terminate_contract": _terminate,
    "void_grant": _of_grant(_void),
    "refund_grant": _of_grant(_refund),
    "adjust_grant": _of_grant(_adjust),
    "fund_grant": _of_grant(_fund),
    "purchase": _purchase,
    "set_seats": _set_seats,
    "settle_overage": _settle,
    "top_up_failed": _top_up_failed,
    **HOLD_COMMANDS,
}


def find(row: BalanceRow, name: str, step: Step) -> GrantRow | None:
    """The grant of this id, retired or not."""
    grant = row.grant(name)
    if grant is not None or not row.retired:
        return grant
    retired = step.books.retired(row.account, name)
    return None if retired is None else retired.grant


def _no_contract(name: str) -> Refusal:
    return Refusal(Reason.UNKNOWN_CONTRACT, f"no contract {name}", "contract")
