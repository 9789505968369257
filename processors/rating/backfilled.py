"""Usage that comes by the usual way after it was backfilled: priced once, refused the second time.

A backfill claims nothing in admission, which refuses it for usage before it (credits.md section 9).
For usage behind it rating looks: in an account that ever had a backfill, and nowhere else.
"""

from collections.abc import Iterable
from typing import Final

from processors.admission.fingerprint import content_digest
from processors.rating.rated import Event
from projections.rates.rows import BackfilledRow, RatingRow, event_key
from projections.rows import Rows
from schemas.reasons import Reason

_CONTENT_BYTES: Final = 5
"""Of the digest that a row keeps, whatever claims keep. Rows of frames of version 2 have 6."""


def marker_key(account: str) -> str:
    """The key of the row that says that the account had a backfill."""
    return f"b:{account}"


def content_of(
    event_type: str, data: bytes | None, contract: str | None, size: int = _CONTENT_BYTES
) -> str:
    """What tells two events of one key apart: the fingerprint of admission."""
    return content_digest(event_type, data, contract, size).hex()


def says_the_same(row: BackfilledRow, event: Event) -> bool:
    """Was it this that was backfilled? The digest is as long as the row's release made it."""
    size = len(row.content) // 2
    return row.content == content_of(event.type, event.data, event.contract, size)


def remember_backfill(event: Event, rows: Rows[RatingRow]) -> None:
    """The event entered by a backfill."""
    for key, content in (
        (
            event_key("b", event.account, event.source, event.id),
            content_of(event.type, event.data, event.contract),
        ),
        (marker_key(event.account), ""),
    ):
        rows.get(key)
        rows.put(key, BackfilledRow(content))


def had_backfills(accounts: Iterable[str], rows: Rows[RatingRow]) -> set[str]:
    """Those of `accounts` that ever had one."""
    names = list(accounts)
    rows.load(map(marker_key, names))
    return {name for name in names if rows.get(marker_key(name)) is not None}


def came_by_backfill(event: Event, rows: Rows[RatingRow]) -> Reason | None:
    """Why the event is refused: its key was backfilled, with the same content or another."""
    if rows.get(marker_key(event.account)) is None:
        return None
    row = rows.get(event_key("b", event.account, event.source, event.id))
    if not isinstance(row, BackfilledRow):
        return None
    return Reason.DUPLICATE if says_the_same(row, event) else Reason.CONFLICT
