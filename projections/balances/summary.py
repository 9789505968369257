"""Balances and holds as people read them: the `accounts` entry of scenario.md. Pure."""

from collections.abc import Iterable
from typing import Any

from projections.balances.hold_rows import HoldRow
from projections.balances.row import BalanceRow, GrantRow
from schemas.numbers import CREDIT_DECIMALS, format_units
from schemas.times import format_instant


def summarise(row: BalanceRow, retired: Iterable[GrantRow]) -> dict[str, Any]:
    """Available, overage, consumed and every grant in order of issue; amounts as decimal texts.

    `retired` are the grants that have left the row.
    """
    grants = sorted([*row.grants, *retired], key=lambda grant: grant.terms.number)
    return {
        "available": _text(row.available),
        "overage": _text(row.overage),
        "consumed": _text(row.consumed),
        "grants": [_grant(grant) for grant in grants],
    }


def summarise_hold(name: str, hold: HoldRow) -> dict[str, Any]:
    """A hold's state (`open`, `captured`, `released`, `expired`), amounts and times as texts.

    `slices` are what it holds, or held, of each grant; `ended_at` is there once it has ended.
    """
    shown = {
        "id": name,
        "state": hold.state,
        "product": hold.product,
        "contract": hold.contract,
        "amount": _text(hold.amount),
        "captured": _text(hold.captured),
        "slices": [{"grant": grant, "amount": _text(amount)} for grant, amount in hold.slices],
        "placed_at": format_instant(hold.placed_at),
        "expires_at": format_instant(hold.expires_at),
    }
    return shown | ({} if hold.ended_at is None else {"ended_at": format_instant(hold.ended_at)})


def _grant(grant: GrantRow) -> dict[str, Any]:
    state = {"refunded": "voided", "lapsed": "voided", "closed": "expired"}.get(
        grant.state, grant.state
    )
    shown = {
        "id": grant.id,
        "type": grant.terms.type,
        "contract": grant.terms.contract,
        "issued": _text(grant.issued),
        "consumed": _text(grant.consumed),
        "expired": _text(grant.expired),
        "rolled_over": _text(grant.rolled_over),
        "voided": _text(grant.voided),
        "remaining": _text(grant.remaining),
        "state": state,
    }
    seldom = {"refunded": grant.refunded, "held": grant.held}
    return shown | {name: _text(units) for name, units in seldom.items() if units}


def _text(units: int) -> str:
    return format_units(units, CREDIT_DECIMALS)
