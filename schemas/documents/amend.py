"""A contract after an amendment (credits.md section 3)."""

from schemas.documents.commands import AmendContract
from schemas.documents.contract import Contract
from schemas.documents.merge_patch import merge_patch
from schemas.documents.parse import parse_document
from schemas.reasons import Refusal


def amended(contract: Contract, amendment: AmendContract) -> Contract | list[Refusal]:
    """The contract with the changes, whole and valid; else its faults, none half-applied.

    A fault's path is that of the contract's field (`overrides[0].price.tiers[1].up_to`).
    """
    parsed = parse_document(merge_patch(contract.model_dump(), amendment.changes))
    assert isinstance(parsed, Contract | list), parsed
    return parsed
