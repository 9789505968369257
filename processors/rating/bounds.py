"""How far back a document may reach: what was missed since then falls due at once."""

from typing import Final

from schemas.documents import Contract, Document, Grant, Purchase
from schemas.reasons import Reason, Refusal
from schemas.times import DAY

OLDEST: Final = 3_653 * DAY
"""Ten years: the daily grants of a contract that began then are some four thousand postings."""


def reach_refusal(document: Document, clock: int) -> Refusal | None:
    """The refusal of a grant or contract that begins more than OLDEST before journal time."""
    begins: list[tuple[str, int | None]] = []
    if isinstance(document, Contract):
        begins = [("starts_at", document.starts_at)]
        begins += [
            (f"grants[{i}].effective_at", g.effective_at) for i, g in enumerate(document.grants)
        ]
    elif isinstance(document, Grant | Purchase):
        begins = [("effective_at", document.effective_at)]
    for path, at in begins:
        if at is not None and at < clock - OLDEST:
            return Refusal(Reason.INVALID_DOCUMENT, "expected no more than ten years ago", path)
    return None
