"""Accounts and their contracts as rating keeps them: what is in force, and what changes it."""

from collections.abc import Mapping

from processors.rating.identities import grant_clash, rule_clash, rules_taken, take_grant
from projections.contracts import Lineage, amended, begin, contract_of, terminate
from projections.rates.choice import ACCOUNT
from projections.rates.held import lineages_of
from projections.rates.rows import (
    AccountRow,
    ContractsRow,
    LimitRow,
    RatingRow,
    account_key,
    contracts_key,
)
from projections.rows import Rows
from schemas.documents import (
    Account,
    AmendContract,
    Contract,
    TerminateContract,
    canonical,
    parse_document,
)
from schemas.reasons import Reason, Refusal


def apply_account(document: Account, rows: Rows[RatingRow]) -> Refusal | None:
    """The account's terms are these from now on."""
    row = rows.get(account_key(document.id))
    if isinstance(row, AccountRow) and row.time_zone != document.time_zone:
        detail = f"cannot change from {row.time_zone} to {document.time_zone}"
        return Refusal(Reason.CONFLICT, detail, "time_zone")
    taken = rules_taken(None, lineages_of(rows, document.id))
    if (clash := rule_clash(document.recurring, taken)) is not None:
        return clash
    limits = (limit for limit in document.limits if limit.by != ACCOUNT)
    row = AccountRow(
        document.rate_card,
        document.time_zone,
        tuple(LimitRow(limit.id, limit.by, limit.products) for limit in limits),
        canonical(document).decode(),
    )
    rows.put(account_key(document.id), row)
    return None


def apply_contract(document: Contract, clock: int, rows: Rows[RatingRow]) -> Refusal | bool:
    """A new contract: True. False where the account has this one already."""
    lineages = lineages_of(rows, document.account)
    known = lineages.get(document.id)
    if known is not None:
        if known.revisions[0].document == canonical(document).decode():
            return False
        detail = f"contract {document.id} has other content: amend it"
        return Refusal(Reason.CONFLICT, detail, "id")
    if document.renews is not None and document.renews not in lineages:
        return _unknown_contract(document.account, document.renews, "renews")
    taken = rules_taken(_account(rows, document.account), lineages)
    clash = rule_clash(document.recurring, taken) or grant_clash(document, rows)
    if clash is not None:
        return clash
    for grant in document.grants:
        take_grant(document.account, grant.id, rows)
    _keep(rows, document.account, {**lineages, document.id: begin(document, clock)})
    return True


def amend_contract(command: AmendContract, clock: int, rows: Rows[RatingRow]) -> Refusal | None:
    """Another revision of a contract."""
    lineages = lineages_of(rows, command.account)
    lineage = lineages.get(command.contract)
    if lineage is None:
        return _unknown_contract(command.account, command.contract, "contract")
    revision = amended(lineage, command, clock)
    if isinstance(revision, Refusal):
        return revision
    renews = command.changes.get("renews")
    if renews is not None and renews not in lineages:
        return _unknown_contract(command.account, renews, "changes.renews")
    taken = rules_taken(_account(rows, command.account), lineages, command.contract)
    clash = rule_clash(contract_of(revision.document).recurring, taken, "changes.")
    if clash is not None:
        return clash
    lineage.revisions.append(revision)
    _keep(rows, command.account, lineages)
    return None


def terminate_contract(
    command: TerminateContract, clock: int, rows: Rows[RatingRow]
) -> Refusal | None:
    """The end of a contract, at the later of the command's `at` and journal time."""
    lineages = lineages_of(rows, command.account)
    lineage = lineages.get(command.contract)
    if lineage is None:
        return _unknown_contract(command.account, command.contract, "contract")
    if lineage.terminated_at is not None:
        detail = f"contract {command.contract} was terminated before"
        return Refusal(Reason.CONFLICT, detail, "contract")
    terminate(lineage, command, clock)
    _keep(rows, command.account, lineages)
    return None


def _account(rows: Rows[RatingRow], name: str) -> Account | None:
    row = rows.get(account_key(name))
    if not isinstance(row, AccountRow):
        return None
    document = parse_document(row.document.encode())
    assert isinstance(document, Account), row
    return document


def _keep(rows: Rows[RatingRow], account: str, lineages: Mapping[str, Lineage]) -> None:
    rows.put(contracts_key(account), ContractsRow(dict(lineages)))


def _unknown_contract(account: str, contract: str, path: str) -> Refusal:
    return Refusal(Reason.UNKNOWN_CONTRACT, f"{account} has no contract {contract}", path)
