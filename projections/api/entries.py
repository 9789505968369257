"""Rows as the API tells them. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from projections.balances.books import decode_account
from projections.balances.burn import Draw, candidates, spendable
from projections.balances.hold_rows import HoldRow
from projections.balances.row import ACCOUNT, WALLET, BalanceRow, GrantRow, available_in
from projections.balances.summary import summarise, summarise_hold
from projections.balances.terms import account_terms
from projections.fold.snapshot import Snapshot
from schemas.numbers import CREDIT_DECIMALS, format_units
from schemas.times import format_instant


def account_of(account: str, snapshot: Snapshot) -> BalanceRow | None:
    """The account's row with its terms, None where there is none."""
    return decode_account(account, snapshot.rows.get)


def placed(row: BalanceRow, partition: int, snapshot: Snapshot) -> dict[str, Any]:
    """Where an account was read: `journal_time` is that of the last record applied to it."""
    return {"journal_time": format_instant(row.clock), **at(partition, snapshot)}


def at(partition: int, snapshot: Snapshot) -> dict[str, Any]:
    """Where rows were read."""
    return {"partition": partition, "position": list(snapshot.position.reached)}


def text(units: int) -> str:
    """Credits as text."""
    return format_units(units, CREDIT_DECIMALS)


def grants_of(row: BalanceRow, grants: Iterable[GrantRow]) -> list[dict[str, Any]]:
    """These grants, in their order; `row` is their account's."""
    chosen = list(grants)
    live = {grant.id for grant in row.grants}
    retired = [grant for grant in chosen if grant.id not in live]
    told = {each["id"]: each for each in summarise(row, retired)["grants"]}
    return [{"refunded": "0", "held": "0", **told[grant.id], **_terms(grant)} for grant in chosen]


def _terms(grant: GrantRow) -> dict[str, Any]:
    terms = grant.terms
    cost = None
    if terms.currency is not None:
        cost = {"amount": text(terms.paid), "currency": terms.currency}
    return {
        "effective_at": format_instant(terms.root_effective_at),
        "expires_at": None if terms.expires_at is None else format_instant(terms.expires_at),
        "issued_at": format_instant(terms.issued_at),
        "priority": terms.priority,
        "products": None if terms.products is None else list(terms.products),
        "tags": None if terms.tags is None else list(terms.tags),
        "cost": cost,
    }


def balance_of(row: BalanceRow) -> dict[str, Any]:
    """The whole account."""
    return {
        "available": text(row.available),
        "overage": text(row.overage),
        "consumed": text(row.consumed),
        "grants": grants_of(row, row.grants),
    }


def balance_of_scope(row: BalanceRow, scope: str) -> dict[str, Any]:
    """The wallet's credits, or a contract's."""
    grants = [grant for grant in row.grants if (grant.terms.contract or WALLET) == scope]
    return {
        "available": text(available_in(row, scope)),
        "overage": text(row.scopes[scope].overage),
        "consumed": text(sum(grant.consumed for grant in grants)),
        "grants": grants_of(row, grants),
    }


def balance_of_grant(row: BalanceRow, grant: GrantRow) -> dict[str, Any]:
    """One grant's credits."""
    available = grant.free if grant.state == "active" else 0
    return {
        "available": text(available),
        "overage": "0",
        "consumed": text(grant.consumed),
        "grants": grants_of(row, [grant]),
    }


def balance_of_product(
    row: BalanceRow, product: str, tags: tuple[str, ...], scope: str
) -> dict[str, Any]:
    """What a line of the product could draw at the account's journal time, in burn order."""
    ask = Draw(product, tags, scope, row.clock, row.clock)
    grace = account_terms(row.terms.document).late_grace
    grants = candidates(row, ask)
    able = sum(spendable(grant, row.clock, row.clock, grace) for grant in grants)
    return {
        "available": text(able),
        "overage": text(row.scopes[scope].overage),
        "consumed": text(sum(grant.consumed for grant in grants)),
        "grants": grants_of(row, grants),
    }


def scopes_of(row: BalanceRow) -> list[dict[str, Any]]:
    """What the wallet and each contract has and owes."""
    return [
        {
            "contract": scope or None,
            "available": text(available_in(row, scope)),
            "overage": text(found.overage),
        }
        for scope, found in row.scopes.items()
        if scope != ACCOUNT
    ]


def totals_of(row: BalanceRow) -> Mapping[str, str]:
    """Of a hot row alone."""
    return {
        "available": text(row.available),
        "overage": text(row.overage),
        "consumed": text(row.consumed),
    }


def hold_of(account: str, name: str, row: HoldRow) -> dict[str, Any]:
    """A hold."""
    told = summarise_hold(name, row)
    return {"id": name, "account": account, **told, "ended_at": told.get("ended_at")}
