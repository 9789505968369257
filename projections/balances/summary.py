"""A balance row as people read it: the `accounts` entry of scenario.md. Pure."""

from typing import Any

from projections.balances.row import BalanceRow, GrantRow
from schemas.numbers import CREDIT_DECIMALS, format_units


def summarise(row: BalanceRow) -> dict[str, Any]:
    """Available, overage, consumed and every grant in order of issue; amounts as decimal texts."""
    return {
        "available": _text(row.available),
        "overage": _text(row.overage),
        "consumed": _text(sum(grant.consumed for grant in row.grants)),
        "grants": [_grant(grant) for grant in row.grants],
    }


def _grant(grant: GrantRow) -> dict[str, Any]:
    return {
        "id": grant.id,
        "type": grant.type,
        "contract": None,
        "issued": _text(grant.issued),
        "consumed": _text(grant.consumed),
        "expired": _text(grant.expired),
        "rolled_over": _text(grant.rolled_over),
        "voided": _text(grant.voided),
        "remaining": _text(grant.remaining),
        "state": grant.state,
    }


def _text(units: int) -> str:
    return format_units(units, CREDIT_DECIMALS)
