"""A balance row as people read it: the `accounts` entry of scenario.md. Pure."""

from collections.abc import Iterable
from typing import Any

from projections.balances.row import BalanceRow, GrantRow
from schemas.numbers import CREDIT_DECIMALS, format_units


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
    return shown | ({"refunded": _text(grant.refunded)} if grant.refunded else {})


def _text(units: int) -> str:
    return format_units(units, CREDIT_DECIMALS)
