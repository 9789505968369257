"""A contract after an amendment (credits.md section 3)."""

from schemas.documents.commands import AmendContract
from schemas.documents.contract import Contract
from schemas.documents.merge_patch import merge_patch
from schemas.documents.parse import canonical, parse_document
from schemas.reasons import Refusal
from schemas.strict_json import load_json


def amended(contract: Contract, amendment: AmendContract) -> Contract | list[Refusal]:
    """The contract with the changes, whole and valid; else its faults, none half-applied.

    A fault's path is that of the contract's field (`overrides[0].price.tiers[1].up_to`).
    """
    merged = merge_patch(load_json(canonical(contract)), amendment.changes)
    parsed = parse_document(merged)
    assert isinstance(parsed, Contract | list), parsed
    return parsed
