"""Postings: the ledger's lines, each a transfer, so that every transaction sums to zero.

| posting  | from                  | to                    |
|----------|-----------------------|-----------------------|
| issued   | the outside           | the grant's remainder |
| consumed | the grant's remainder | usage                 |
| reopened | the grant's breakage  | usage                 |
| overage  | the customer's debt   | usage                 |
| expired  | the grant's remainder | the grant's breakage  |

A line that costs nothing is `consumed` with amount 0 and no grant, so that it can be shown too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from schemas.frames import LEDGER_SCHEMA

ISSUED: Final = "issued"
CONSUMED: Final = "consumed"
REOPENED: Final = "reopened"
OVERAGE: Final = "overage"
EXPIRED: Final = "expired"

ORDINAL_BITS: Final = 16
"""A ledger ordinal: the rated row's, shifted by this, plus the posting's number within it."""

_UNITS: Final = ("amount", "quantity", "cost")


@dataclass(frozen=True, slots=True)
class Posting:
    """One transfer of `amount` units, at journal time `at`; `line` is the rated row it pays for."""

    journal_offset: int
    row: int
    ordinal: int
    at: int
    account: str
    posting: str
    grant: str | None
    amount: int
    line: Mapping[str, Any] | None = None


def ledger_frame(postings: Sequence[Posting]) -> pl.DataFrame:
    """LEDGER_SCHEMA rows of the postings, in their order."""
    columns: dict[str, list[Any]] = {
        name: [getattr(posting, name) for posting in postings]
        for name in (
            "journal_offset",
            "row",
            "ordinal",
            "at",
            "account",
            "posting",
            "grant",
            "amount",
        )
    }
    for name in ("source", "id", "time", "product", "rate_card", "version", "quantity", "cost"):
        columns[name] = [posting.line and posting.line[name] for posting in postings]
    frame = pl.DataFrame(
        columns,
        schema={
            name: pl.Int128 if name in _UNITS else dtype for name, dtype in LEDGER_SCHEMA.items()
        },
    )
    return frame.with_columns(
        pl.col(name).reinterpret(dtype=LEDGER_SCHEMA[name]) for name in _UNITS
    )
