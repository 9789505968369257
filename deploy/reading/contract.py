"""A contract's history, as of a stated position: what `drawdown contract show` prints.

Each revision says what it changed, from when on, when it was applied, why, by whom, and which one
it replaced (credits.md section 3); amending never changes what came before.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from deploy.reading.changes import changed_paths
from deploy.reading.fixed import FixedRows, read_fixed
from deploy.reading.surroundings import Surroundings
from projections.balances.books import decode_account
from projections.balances.row import BalanceRow
from projections.balances.stage import STAGE
from projections.contracts import Lineage, Revision, contract_of, end_of, in_force
from schemas.times import format_instant

_ABSENT: Final = "—"


def read_contract(around: Surroundings, account: str, contract: str) -> dict[str, Any] | None:
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


def show(entry: dict[str, Any], console: Console) -> None:
    """Print the lineage, revision by revision, then the terms in force."""

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    say(f"contract {entry['contract']} of {entry['account']}: revision {entry['revision']}")
    if entry["terminated"] is not None:
        say("terminated {at}, policy {policy}, by command {command}".format(**entry["terminated"]))
    elif entry["ends_at"] is not None:
        say(f"ends {entry['ends_at']}")
    for name in ("renews", "renewed_by"):
        if entry[name]:
            say(f"{name.replace('_', ' ')} {', '.join(entry[name])}")
    table = Table("revision", "in force from", "applied", "replaced", "what changed", "why", "by")
    for revision in entry["revisions"]:
        table.add_row(*_cells(revision))
    console.print(table)
    say("terms in force:")
    terms = {name: value for name, value in entry["terms"].items() if value not in (None, [], {})}
    say(json.dumps(terms, indent=2, sort_keys=True, ensure_ascii=False))
    place = ":".join(map(str, entry["position"]))
    say(f"journal time {entry['journal_time']}, partition {entry['partition']}, position {place}")


def _cells(revision: Mapping[str, Any]) -> Iterator[str]:
    yield str(revision["revision"])
    yield revision["effective_at"]
    yield revision["at"]
    yield str(revision["replaced"] or "")
    yield "\n".join(
        f"{change['path']}: {_text(change['before'])} → {_text(change['after'])}"
        for change in revision["changes"]
    )
    yield revision["reason"] or ""
    yield revision["by"] or ""


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return _ABSENT if value is None else json.dumps(value, ensure_ascii=False)
