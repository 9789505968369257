"""A contract's history, as of a stated position.

Each revision says what it changed, from when on, when it was applied, why, by whom, and which one
it replaced (credits.md section 3); amending never changes what came before.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from projections.balances.books import decode_account
from projections.balances.row import BalanceRow
from projections.balances.stage import STAGE
from projections.contracts import Lineage, Revision, contract_of, end_of, in_force
from projections.reading.changes import changed_paths
from projections.reading.deployment import Deployment
from projections.reading.fixed import FixedRows, read_fixed
from schemas.times import format_instant


def read_contract(around: Deployment, account: str, contract: str) -> dict[str, Any] | None:
    """The contract's history and its terms in force; None where there is no such contract.

    Raises ConfigurationError where the topics do not exist, StoreUnavailable.
    """
    number = around.partition_of(account)

    def ask(readers: Sequence[FixedRows]) -> dict[str, Any] | None:
        rows = readers[0]
        row = decode_account(account, lambda key: rows.read((key,))[0])
        if row is None or contract not in row.terms.contracts:
            return None
        place = {"partition": number, "position": list(rows.position.reached)}
        return history(row, contract) | place

    return read_fixed(around.snapshots, number, (STAGE,), ask)


def history(row: BalanceRow, contract: str) -> dict[str, Any]:
    """The history of one of an account's contracts at the account's journal time. Pure."""
    lineages = row.terms.contracts
    lineage = lineages[contract]
    current = in_force(lineage, row.clock)
    ends_at = end_of(lineage, row.clock)
    return {
        "account": row.account,
        "contract": contract,
        "revision": current.number,
        "ends_at": None if ends_at is None else format_instant(ends_at),
        "terminated": _terminated(lineage),
        "renews": list(_renewed(lineages, contract)),
        "renewed_by": list(_renewing(lineages, contract)),
        "revisions": list(_revisions(lineage.revisions)),
        "terms": json.loads(current.document),
        "journal_time": format_instant(row.clock),
    }


def _terminated(lineage: Lineage) -> dict[str, str | None] | None:
    if lineage.terminated_at is None:
        return None
    at, command = format_instant(lineage.terminated_at), lineage.reference
    return {"at": at, "policy": lineage.policy, "command": command}


def _renewed(lineages: Mapping[str, Lineage], contract: str) -> Iterator[str]:
    """The contracts that this one follows, the nearest first."""
    seen = {contract}
    while (before := contract_of(lineages[contract].latest.document).renews) is not None:
        if before in seen or before not in lineages:
            return
        yield before
        seen.add(before)
        contract = before


def _renewing(lineages: Mapping[str, Lineage], contract: str) -> Iterator[str]:
    """The contracts that follow this one, the nearest first."""
    seen = {contract}
    following = {contract_of(each.latest.document).renews: name for name, each in lineages.items()}
    while (after := following.get(contract)) is not None and after not in seen:
        yield after
        seen.add(after)
        contract = after


def _revisions(revisions: Sequence[Revision]) -> Iterator[dict[str, Any]]:
    before: Revision | None = None
    for revision in revisions:
        changes = [] if before is None else _changes(before, revision)
        yield {
            "revision": revision.number,
            "effective_at": format_instant(revision.effective_at),
            "at": format_instant(revision.at),
            "replaced": None if before is None else before.number,
            "changes": changes,
            "reason": revision.reason,
            "by": revision.by,
        }
        before = revision


def _changes(before: Revision, after: Revision) -> list[dict[str, Any]]:
    found = changed_paths(json.loads(before.document), json.loads(after.document))
    return [change._asdict() for change in found]
