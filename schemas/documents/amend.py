"""A contract after an amendment (credits.md section 3)."""

from typing import Final

from schemas.documents.commands import AmendContract
from schemas.documents.contract import Contract
from schemas.documents.merge_patch import merge_patch
from schemas.documents.parse import parse_document
from schemas.reasons import Reason, Refusal

_STANDS: Final = {
    "id": "it is what the contract is",
    "account": "it is whose the contract is",
    "starts_at": "the first revision is in force from there",
    "grants": "a further grant is a document of its own",
    "seats": "set_seats does that",
}
"""What no amendment changes, and why; naming it with the value that it has is no change."""


def amended(contract: Contract, amendment: AmendContract) -> Contract | list[Refusal]:
    """The contract with the changes, whole and valid; else its faults, none half-applied.

    The path of a fault is that of the contract's field (`overrides[0].price.tiers[1].up_to`).
    """
    patched = merge_patch(contract.model_dump(), amendment.changes)
    parsed = parse_document(patched)
    if isinstance(parsed, list):
        return parsed
    assert isinstance(parsed, Contract)
    faults = [
        Refusal(Reason.INVALID_DOCUMENT, f"expected no change: {why}", name)
        for name, why in _STANDS.items()
        if name in amendment.changes and getattr(parsed, name) != getattr(contract, name)
    ]
    return faults or parsed
