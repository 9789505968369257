"""Ids that are unique within an account: of grants and of recurring rules (section 3)."""

from collections.abc import Iterator, Mapping

from projections.contracts import Lineage, contract_of
from projections.rates.rows import GrantIdRow, RatingRow, grant_id_key
from projections.rows import Rows
from schemas.documents import Account, Contract, Recurring
from schemas.reasons import Reason, Refusal


def rule_clash(
    recurring: tuple[Recurring, ...], taken: Mapping[str, str], path: str = ""
) -> Refusal | None:
    """The refusal of rules of which one has an id that is `taken`, by whom."""
    for index, rule in enumerate(recurring):
        if rule.id in taken:
            detail = f"expected an id of its own, {rule.id} is a rule of {taken[rule.id]}"
            return Refusal(Reason.CONFLICT, detail, f"{path}recurring[{index}].id")
    return None


def rules_taken(
    account: Account | None, lineages: Mapping[str, Lineage], but: str | None = None
) -> dict[str, str]:
    """Whose each recurring rule is: the account's, and every revision's of every contract `but`."""
    taken = {} if account is None else {rule.id: "the account" for rule in account.recurring}
    for name, document in _revisions(lineages):
        if name != but:
            taken |= {rule.id: f"contract {name}" for rule in document.recurring}
    return taken


def _revisions(lineages: Mapping[str, Lineage]) -> Iterator[tuple[str, Contract]]:
    for name, lineage in lineages.items():
        for revision in lineage.revisions:
            yield name, contract_of(revision.document)


def grant_clash(contract: Contract, rows: Rows[RatingRow]) -> Refusal | None:
    """The refusal of a contract that brings a grant of an id that the account has."""
    for index, grant in enumerate(contract.grants):
        if rows.get(grant_id_key(contract.account, grant.id)) is not None:
            detail = f"expected an id of its own, the account has a grant {grant.id}"
            return Refusal(Reason.CONFLICT, detail, f"grants[{index}].id")
    return None


def take_grant(account: str, grant: str, rows: Rows[RatingRow]) -> None:
    """The account has a grant of this id from now on."""
    key = grant_id_key(account, grant)
    if rows.get(key) is None:
        rows.put(key, GrantIdRow())
