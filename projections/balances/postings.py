"""Postings: the ledger's lines, each a transfer, so that every transaction sums to zero.

| posting     | from                  | to                       |
|-------------|-----------------------|--------------------------|
| issued      | the outside           | the grant's remainder    |
| adjusted    | the outside           | the grant's remainder    |
| consumed    | the grant's remainder | usage                    |
| reopened    | the grant's breakage  | usage                    |
| overage     | the customer's debt   | usage                    |
| repaid      | the grant's remainder | the customer's debt      |
| settled     | the outside           | the customer's debt      |
| expired     | the grant's remainder | the grant's breakage     |
| rolled_over | the grant's remainder | another grant's          |
| received    | another grant's       | the grant's remainder    |
| voided      | the grant's remainder | the outside              |
| refunded    | the grant's remainder | the outside, with money  |
| held        | what remains free     | what a hold reserves     |
| released    | what a hold reserves  | what remains free        |

A negative amount goes the other way: consumed and reopened by a line that returns credits, overage
by one that reduces it. A line that costs nothing is `consumed` with amount 0 and no grant, so that
it can be shown too. An adjustment of a grant that has ended goes to the part it ended in: it is
`adjusted` and at once `expired`, `voided` or `refunded`. What is held is part of the remainder: a
hold that ends is `released` as a whole, and then what it captured is `consumed`. The reference of
`held` and `released` is the hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from schemas.frames import LEDGER_SCHEMA

ISSUED: Final = "issued"
ADJUSTED: Final = "adjusted"
CONSUMED: Final = "consumed"
REOPENED: Final = "reopened"
OVERAGE: Final = "overage"
REPAID: Final = "repaid"
SETTLED: Final = "settled"
EXPIRED: Final = "expired"
ROLLED_OVER: Final = "rolled_over"
RECEIVED: Final = "received"
VOIDED: Final = "voided"
REFUNDED: Final = "refunded"
HELD: Final = "held"
RELEASED: Final = "released"

POSTINGS: Final = (
    ISSUED,
    ADJUSTED,
    CONSUMED,
    REOPENED,
    OVERAGE,
    REPAID,
    SETTLED,
    EXPIRED,
    ROLLED_OVER,
    RECEIVED,
    VOIDED,
    REFUNDED,
)
OF_LINE: Final = (CONSUMED, REOPENED, OVERAGE)
"""The postings of a line: they sum to its cost, but for an overage multiplier."""

ORDINAL_BITS: Final = 32
"""A ledger ordinal: the rated row's, shifted by this, plus the posting's number within it."""

_UNITS: Final = ("amount", "quantity", "cost")
_OWN: Final = (
    "journal_offset",
    "row",
    "ordinal",
    "at",
    "account",
    "posting",
    "grant",
    "amount",
    "unauthorised",
    "reference",
)
OF_RATED: Final = tuple(name for name in LEDGER_SCHEMA if name not in _OWN)
"""What a ledger row takes over from the rated line that it pays for."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One transfer of `amount` units, at journal time `at`; `line` is the rated row it pays for.

    `contract` is whose credits or debt they are where there is no line.
    """

    journal_offset: int
    row: int
    ordinal: int
    at: int
    account: str
    posting: str
    grant: str | None
    amount: int
    line: Mapping[str, Any] | None = None
    unauthorised: bool | None = None
    reference: str | None = None
    contract: str | None = None


def ledger_frame(postings: Sequence[Posting]) -> pl.DataFrame:
    """LEDGER_SCHEMA rows of the postings, in their order."""
    columns: dict[str, list[Any]] = {
        name: [getattr(posting, name) for posting in postings] for name in _OWN
    }
    for name in OF_RATED:
        columns[name] = [posting.line and posting.line[name] for posting in postings]
    columns["contract"] = [
        posting.line["contract"] if posting.line else posting.contract for posting in postings
    ]
    frame = pl.DataFrame(
        {name: columns[name] for name in LEDGER_SCHEMA},
        schema={
            name: pl.Int128 if name in _UNITS else dtype for name, dtype in LEDGER_SCHEMA.items()
        },
    )
    return frame.with_columns_seq(
        pl.col(name).reinterpret(dtype=LEDGER_SCHEMA[name]) for name in _UNITS
    )
