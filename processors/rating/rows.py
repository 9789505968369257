"""The rows that rating keeps, and their one canonical encoding.

Keys: `catalog`, `a:<account>`, `q:<account>|<product>|<match>|<period start>`.
"""

from typing import Final

import msgspec

CATALOG_KEY: Final = "catalog"


class CatalogRow(msgspec.Struct, tag="catalog"):
    """Canonical documents in the order in which each was first applied."""

    documents: list[str]


class AccountRow(msgspec.Struct, tag="account"):
    """What rating needs of an account, and its canonical document."""

    rate_card: str | None
    time_zone: str
    document: str


class CumulativeRow(msgspec.Struct, tag="cumulative"):
    """The quantity of a key so far, in units; text, because it may pass 64 bits."""

    total: str


RatingRow = CatalogRow | AccountRow | CumulativeRow
_decoder: Final = msgspec.json.Decoder(RatingRow)


def account_key(account: str) -> str:
    """The key of an account's row."""
    return f"a:{account}"


def cumulative_key(account: str, product: str, match: str, period_start: int) -> str:
    """The key (account, product, match of the rate, billing period) of a cumulative quantity."""
    return f"q:{account}|{product}|{match}|{period_start}"


def encode_row(row: RatingRow) -> bytes:
    """Canonical: equal rows have equal bytes."""
    return msgspec.json.encode(row)


def decode_row(raw: bytes) -> RatingRow:
    """The inverse of `encode_row`."""
    row: RatingRow = _decoder.decode(raw)
    return row
