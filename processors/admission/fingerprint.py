"""Digests of a usage event: which event it is, and what it says.

The idempotency key is (account, source, id); the content is (type, contract, data), not the time: a
retry that stamps a new time says the same (credits.md section 9). Both are BLAKE2b over
length-prefixed fields, each with its own personalisation, so no two keys share a digest by moving
characters between fields. Lengths are in characters, -1 for an absent contract.

In columns the fields of all events are joined at once; hashing is one by one either way.
"""

from hashlib import blake2b
from itertools import starmap
from typing import Final

import polars as pl

FEW: Final = 256
"""So many events are examined and digested sooner one by one than in columns."""
KEY_BYTES: Final = 16
CONTENT_BYTES: Final = 5
_AT_ONCE: Final = 1_000  # few enough to be hashed while they are in the processor's cache
_BODY: Final = b"drawdown.body"
_KEY: Final = blake2b(digest_size=KEY_BYTES, person=b"drawdown.claim")
_CONTENT: Final = blake2b(digest_size=CONTENT_BYTES, person=_BODY)


def key_digest(account: str, source: str, identity: str) -> bytes:
    """The 16 bytes that stand for (account, source, id)."""
    digest = _KEY.copy()
    digest.update(f"{len(account)}:{len(source)}:{account}{source}{identity}".encode())
    return digest.digest()


def content_digest(
    event_type: str, data: bytes | None, contract: str | None = None, size: int = CONTENT_BYTES
) -> bytes:
    """The `size` bytes for (type, contract, data); absent data differs from empty data."""
    head = f"{len(event_type)}:{-1 if contract is None else len(contract)}:{event_type}"
    digest = _CONTENT.copy() if size == CONTENT_BYTES else blake2b(digest_size=size, person=_BODY)
    digest.update((head if contract is None else head + contract).encode())
    digest.update(b"-" if data is None else b"+" + data)
    return digest.digest()


def key_digests(rows: pl.DataFrame) -> list[bytes]:
    """`key_digest` of each of these journal rows."""
    if rows.height <= FEW:
        return [*starmap(key_digest, rows.select_seq("account", "source", "id").rows())]
    return _digests(_KEY, rows, "account", "source", pl.col("id"))


def content_digests(rows: pl.DataFrame) -> list[bytes]:
    """`content_digest` of each of these journal rows."""
    if rows.height <= FEW:
        return [*starmap(content_digest, rows.select_seq("type", "data", "contract").rows())]
    data = (pl.lit("+") + pl.col("data").cast(pl.String)).fill_null("-")
    return _digests(_CONTENT, rows, "type", "contract", data)


def _digests(
    empty: blake2b, rows: pl.DataFrame, first: str, second: str, last: pl.Expr
) -> list[bytes]:
    sizes = [pl.col(n).str.len_chars().cast(pl.String).fill_null("-1") for n in (first, second)]
    texts = (pl.col(first), pl.col(second).fill_null(""), last)
    joined = pl.concat_str(sizes[0], pl.lit(":"), sizes[1], pl.lit(":"), *texts)
    column = rows.select_seq(joined.cast(pl.Binary)).to_series()
    digests, copy = [], empty.copy
    for start in range(0, len(column), _AT_ONCE):
        for text in column.slice(start, _AT_ONCE).to_list():
            digest = copy()
            digest.update(text)
            digests.append(digest.digest())
    return digests
