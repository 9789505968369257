"""The rows that rating keeps, and their one canonical encoding.

`catalog`: every product, rate card and pack. Of an account: `a:<account>` its terms and
`k:<account>` its contracts. Of what lines are counted by: `q:<key>` the quantity so far and
`u:<key>|<digest>` that a value was seen. Of an event: `n:<event>` that it waits for a price,
`b:<event>` that it was backfilled, `v:<event>` that it was voided. `i:<account>|<grant>`: an id
that a grant has. `m:<command>`: a command that was applied, by its content.

A row's tag is the version of its form: a form that changes gets another tag, and the old one is
read on. So a reader refuses a tag, or a field, that it does not know.
"""

from hashlib import blake2b
from typing import Final

import msgspec

from projections.contracts import Lineage
from schemas.errors import newer

STAGE: Final = "rating"
CATALOG_KEY: Final = "catalog"
_DIGEST_BYTES: Final = 16


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    """Refuses what a newer release added: to write it again without that would lose it."""


class CatalogRow(_Row, tag="catalog"):
    """Canonical documents in the order in which each was first applied."""

    documents: list[str]


class LimitRow(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A limit of an account by a data path: whose lines it counts, and by what."""

    id: str
    by: str
    products: tuple[str, ...] | None


class AccountRow(_Row, tag="account"):
    """What rating needs of an account, and its canonical document."""

    rate_card: str | None
    time_zone: str
    limits: tuple[LimitRow, ...]
    document: str


class ContractsRow(_Row, tag="contracts"):
    """The lineage of each of an account's contracts, by id."""

    lineages: dict[str, Lineage]


class QuantityRow(_Row, tag="quantity"):
    """A key's quantity so far and, of a `max`, its maximum; text: units may pass 64 bits."""

    total: str
    maximum: str | None = None


class SeenRow(_Row, tag="seen"):
    """A value was seen by a key, a key being of one billing period."""


class WaitingRow(_Row, tag="waiting"):
    """An event of which something could not be priced.

    `products` wait, in catalog order; None: the event as a whole. An empty list: all were priced
    meanwhile, and the data is gone.
    """

    event_type: str
    time: int
    contract: str | None
    data: str | None
    products: list[str] | None


class BackfilledRow(_Row, tag="backfilled"):
    """An event that entered by a backfill, by the digest of its content."""

    content: str


class VoidedRow(_Row, tag="voided"):
    """A voided event: the products whose lines were taken back."""

    products: list[str]


class GrantIdRow(_Row, tag="grant"):
    """The account has a grant of this id."""


class CommandRow(_Row, tag="command"):
    """A command that was applied, by the digest of its content."""

    content: str


RatingRow = (
    CatalogRow
    | AccountRow
    | ContractsRow
    | QuantityRow
    | SeenRow
    | WaitingRow
    | BackfilledRow
    | VoidedRow
    | GrantIdRow
    | CommandRow
)
_decoder: Final = msgspec.json.Decoder(RatingRow)


def account_key(account: str) -> str:
    """The key of an account's row."""
    return f"a:{account}"


def contracts_key(account: str) -> str:
    """The key of the row of an account's contracts."""
    return f"k:{account}"


def quantity_key(
    account: str, contract: str | None, product: str, match: str, period_start: int
) -> str:
    """The key of what lines are counted by: 3.26 of CREDITS.md."""
    return f"q:{account}|{contract or ''}|{product}|{match}|{period_start}"


def seen_key(quantity_key: str, value: str) -> str:
    """The key of a value's first sight, by the key that its lines are counted by."""
    return f"u:{quantity_key[2:]}|{digest(value.encode())}"


def event_key(prefix: str, account: str, source: str, identity: str) -> str:
    """The key of a usage event's row: n(ot priced), b(ackfilled) or v(oided)."""
    return f"{prefix}:{account}|{len(source)}|{source}|{identity}"


def grant_id_key(account: str, grant: str) -> str:
    """The key of the row of a grant's id."""
    return f"i:{account}|{grant}"


def command_key(account: str, kind: str, identity: str) -> str:
    """The key of a command's row."""
    return f"m:{account}|{kind}|{identity}"


def digest(content: bytes) -> str:
    """16 bytes that stand for any content, as text."""
    return blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def encode_row(row: RatingRow) -> bytes:
    """Canonical: equal rows have equal bytes."""
    return msgspec.json.encode(row)


def decode_row(raw: bytes) -> RatingRow:
    """The inverse of `encode_row`. Raises ReleaseError for a form that is not known here."""
    try:
        row: RatingRow = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise newer(f"a row of rating that this release does not know ({error})") from error
    return row
