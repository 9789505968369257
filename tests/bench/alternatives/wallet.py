"""One usage record drawn from one account's wallet: what a program that sees single events does.

Shared by the alternatives that keep a row an account. Rows are packed, because packing five
integers takes a fifth of the time that JSON takes, and refuses what does not fit 64 bits.
"""

from functools import cache
from struct import Struct
from typing import Final

import msgspec

from tests.bench.job import (
    DEPLETED,
    LOW,
    LOW_PERCENT,
    PRICES,
    Balance,
    account_name,
    grants_of,
)

_ROW: Final = Struct(">Bqqqqq")
Row = tuple[int, int, int, int, int, int]
"""The level told (1 ample, 2 low, 3 depleted), consumed, promo, main, overage, and the amount at
which it is low. The level is first and never 0: Quix would take some numbers for its own stamps."""


class _Data(msgspec.Struct):
    model: str
    region: str
    input_tokens: int
    output_tokens: int


class Usage(msgspec.Struct):
    """What the job needs of a CloudEvent."""

    id: str
    source: str
    subject: str
    data: _Data

    @property
    def nano(self) -> int:
        """What it costs."""
        data = self.data
        of_input, of_output = PRICES[data.model, data.region]
        return data.input_tokens * of_input + data.output_tokens * of_output


decode: Final = msgspec.json.Decoder(Usage).decode
pack: Final = _ROW.pack
unpack: Final = _ROW.unpack
"""A `Row` of its bytes."""


@cache
def opened(account: str) -> Row:
    """The row of an account that has used nothing."""
    grants = grants_of(int(account.removeprefix(account_name(0)[:-1])))
    return (1, 0, grants.promo, grants.main, 0, grants.issued * LOW_PERCENT // 100)


def draw(row: Row, nano: int) -> tuple[Row, tuple[str, ...]]:
    """The row after `nano` were drawn, and the types of the alerts that are due now."""
    level, consumed, promo, main, overage, low = row
    consumed += nano
    if nano <= promo:
        promo -= nano
    else:
        nano -= promo
        promo = 0
        if nano <= main:
            main -= nano
        else:
            overage += nano - main
            main = 0
    left = promo + main
    now = 3 if left == 0 else 2 if left <= low else 1
    if now <= level:
        return (level, consumed, promo, main, overage, low), ()
    return (now, consumed, promo, main, overage, low), (LOW, DEPLETED)[level - 1 : now - 1]


def balance(packed: bytes) -> Balance:
    """A packed row as the auditor takes it."""
    _, consumed, promo, main, overage, _ = unpack(packed)
    return Balance(consumed, promo, main, overage)
