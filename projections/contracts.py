"""Contracts and their revisions: what was agreed, from when, and what replaced it. Pure.

credits.md section 3: amending makes a new revision; which one applies is a matter of time:
coverage, price, burn order, overage and limits follow the revision in force at event time,
recurring grants, fees, alerts and top-up the one in force at journal time. Both folds keep a
contract's `Lineage`.
"""

from functools import lru_cache

import msgspec

from schemas.documents import AmendContract, Contract, TerminateContract, canonical, parse_document
from schemas.documents import amended as apply_changes
from schemas.reasons import Reason, Refusal


class Revision(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One state of a contract: `document` as canonical text, in force from `effective_at` on.

    `at` is journal time when it was applied; `changes`, `reason` and `by` are the amendment's.
    """

    number: int
    effective_at: int
    at: int
    document: str
    changes: str | None = None
    reason: str | None = None
    by: str | None = None


class Lineage(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A contract's revisions, the first one first; where it was terminated, from when and how."""

    revisions: list[Revision]
    terminated_at: int | None = None
    policy: str | None = None
    reference: str | None = None

    @property
    def latest(self) -> Revision:
        """The revision applied last."""
        return self.revisions[-1]


@lru_cache(maxsize=65_536)
def contract_of(text: str) -> Contract:
    """The contract of a canonical document."""
    document = parse_document(text.encode())
    assert isinstance(document, Contract), text
    return document


def begin(contract: Contract, clock: int) -> Lineage:
    """The lineage of a contract that was just applied."""
    text = canonical(contract).decode()
    return Lineage([Revision(1, contract.starts_at, clock, text)])


def in_force(lineage: Lineage, time: int) -> Revision:
    """The revision in force at `time`: the last applied of those begun, else the first."""
    for revision in reversed(lineage.revisions):
        if revision.effective_at <= time:
            return revision
    return lineage.revisions[0]


def end_of(lineage: Lineage, time: int) -> int | None:
    """Where the contract ends, as seen at `time`; None where it is open-ended."""
    ends_at = contract_of(in_force(lineage, time).document).ends_at
    ends = [end for end in (ends_at, lineage.terminated_at) if end is not None]
    return min(ends) if ends else None


def is_active(lineage: Lineage, time: int) -> bool:
    """Whether the contract runs at `time`; `[start, end)`."""
    starts_at = contract_of(lineage.revisions[0].document).starts_at
    end = end_of(lineage, time)
    return starts_at <= time and (end is None or time < end)


def amended(lineage: Lineage, command: AmendContract, clock: int) -> Revision | Refusal:
    """The revision that an amendment makes, or why it makes none. Changes nothing."""
    latest = lineage.latest
    if command.effective_at < latest.effective_at:
        detail = f"revision {latest.number} takes effect later than this amendment"
        return Refusal(Reason.OUT_OF_ORDER, detail, "effective_at")
    document = apply_changes(contract_of(latest.document), command)
    if isinstance(document, list):
        return document[0]
    return Revision(
        latest.number + 1,
        command.effective_at,
        clock,
        canonical(document).decode(),
        _changes_of(command),
        command.reason,
        command.by,
    )


def _changes_of(command: AmendContract) -> str:
    """The merge patch as canonical JSON."""
    text = canonical(command).decode()
    members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return bytes(members["changes"]).decode()


def terminate(lineage: Lineage, command: TerminateContract, clock: int) -> None:
    """End the contract at the later of the command's `at` and journal time, once."""
    if lineage.terminated_at is None:
        lineage.terminated_at = max(command.at, clock)
        lineage.policy, lineage.reference = command.policy, command.id
